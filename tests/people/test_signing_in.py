"""Signing in: by a password, by what a trusted proxy says, and at a laptop not at all."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api.attempts import ADDRESS_WAIT, FREE, MOST, NAME_WAIT, Attempts
from vlm_app.api.middleware import SecurityHeaders, Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.api.people import SIGNED, owner_of, person_of
from vlm_app.api.replies import sentence_on_error
from vlm_app.api.sign_in_routes import sign_in_routes
from vlm_app.errors import BadInput, NotAllowed, NotFound
from vlm_app.people import Role
from vlm_app.settings import settings
from vlm_app.store import persons
from vlm_app.store.persons import Persons

PASSWORD = "correct horse"
AFAR = ("203.0.113.9", 50000)
HERE = ("127.0.0.1", 50000)
PAGE = {"accept": "text/html"}


class App:
    """The routes of signing in, and one that says who asks."""

    def __init__(self, data: Path, attempts: Attempts | None = None) -> None:
        self.persons = Persons(data)
        self.owners = Owners(data)
        who = [Route("/who", sentence_on_error(_who)), Route("/", sentence_on_error(_who))]
        self.app = Starlette(
            routes=[*who, *sign_in_routes(self.owners, attempts)],
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=self.owners)],
        )

    def browser(self, client: tuple[str, int] = AFAR, host: str = "app.example") -> TestClient:
        return TestClient(self.app, base_url=f"https://{host}", client=client, follow_redirects=False)

    def signed_in(self, name: str, password: str = PASSWORD) -> TestClient:
        browser = self.browser()
        assert enter(browser, name, password).status_code == 303
        return browser


async def _who(request: Request) -> Response:
    person = person_of(request)
    return JSONResponse({"owner": owner_of(request), "name": person.name, "role": person.role})


def enter(browser: TestClient, name: str, password: str) -> Any:
    return browser.post("/sign-in", data={"name": name, "password": password})


def who(browser: TestClient, **headers: str) -> dict[str, str]:
    answer = browser.get("/who", headers={**PAGE, **headers})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Passwords are hashed in a millisecond."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(persons, "_COST", 2**8)
        yield


@pytest.fixture(scope="module")
def everybody(quick: None, tmp_path_factory: pytest.TempPathFactory) -> App:
    """An app that anna, an admin, and ben, a member, sign in to."""
    app = App(tmp_path_factory.mktemp("everybody"))
    app.persons.add("anna", Role.ADMIN, PASSWORD)
    app.persons.add("ben", Role.MEMBER, "another horse")
    return app


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Changes settings for one test."""

    def changed(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{name.upper()}", value)
        settings.cache_clear()

    yield changed
    monkeypatch.undo()
    settings.cache_clear()


# --- at a laptop, and from elsewhere --------------------------------------------------------


def test_who_sits_at_a_laptop_may_do_everything_without_signing_in(everybody: App) -> None:
    for host in ("localhost:7860", "127.0.0.1:7860", "[::1]:7860"):
        assert who(everybody.browser(HERE, host))["role"] == "admin"
    assert who(everybody.browser(("::ffff:127.0.0.1", 1), "localhost"))["role"] == "admin"


def test_whoever_comes_from_elsewhere_is_a_visitor(everybody: App) -> None:
    assert who(everybody.browser())["role"] == "visitor"
    assert who(everybody.browser(AFAR, "localhost"))["role"] == "visitor"


@pytest.mark.parametrize("left", ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-host", "via"])
def test_whoever_comes_through_a_proxy_on_this_computer_is_a_visitor(everybody: App, left: str) -> None:
    assert who(everybody.browser(HERE, "localhost"), **{left: "127.0.0.1"})["role"] == "visitor"


def test_a_page_whose_name_was_made_to_point_here_is_a_visitor(everybody: App) -> None:
    assert who(everybody.browser(HERE, "evil.example"))["role"] == "visitor"


def test_elsewhere_than_on_a_laptop_nobody_is_an_admin_by_where_they_are(everybody: App, set_to: Any) -> None:
    set_to(place="container")
    assert who(everybody.browser(HERE, "localhost"))["role"] == "visitor"


def test_what_everybody_may_can_be_set(everybody: App, set_to: Any) -> None:
    set_to(everyone="member")
    assert who(everybody.browser())["role"] == "member"
    assert who(everybody.browser(HERE, "localhost"))["role"] == "member"


def test_without_a_cookie_there_is_a_sentence(everybody: App) -> None:
    answer = everybody.browser().get("/who")
    assert answer.status_code == 400 and "allow cookies" in answer.text


# --- passwords ------------------------------------------------------------------------------


def test_a_password_brings_its_persons_role_and_rows(everybody: App) -> None:
    first, second = everybody.signed_in("anna"), everybody.signed_in(" Anna ")
    assert who(first) == who(second)
    assert (who(first)["name"], who(first)["role"]) == ("anna", "admin")
    assert who(everybody.signed_in("ben", "another horse"))["role"] == "member"


def test_a_persons_rows_are_not_those_of_the_cookie_that_they_came_with(everybody: App) -> None:
    before, browser = who(browser := everybody.browser()), browser
    assert enter(browser, "anna", PASSWORD).status_code == 303
    assert who(browser)["owner"] != before["owner"]
    assert browser.post("/sign-out").status_code == 303
    assert who(browser) == before


def test_the_cookie_is_kept_from_scripts_and_other_sites(everybody: App) -> None:
    cookie = enter(everybody.browser(), "anna", PASSWORD).headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Secure" in cookie and PASSWORD not in cookie


@pytest.mark.parametrize(("name", "password"), [("anna", "wrong horse"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_password_and_an_unknown_name_get_the_same_sentence(
    tmp_path: Path, name: str, password: str
) -> None:
    app = App(tmp_path)
    app.persons.add("anna", Role.ADMIN, PASSWORD)
    browser = app.browser()
    answer = enter(browser, name, password)
    assert answer.status_code == 403 and "do not belong together" in answer.text
    assert who(browser)["name"] == ""


def test_forged_and_old_cookies_sign_nobody_in(everybody: App, tmp_path: Path) -> None:
    other = App(tmp_path)
    other.persons.add("anna", Role.ADMIN, PASSWORD)
    theirs = other.signed_in("anna").cookies[SIGNED]
    mine = everybody.signed_in("anna").cookies[SIGNED]
    _, owner = everybody.owners.new()
    for forged in (theirs, mine[:-1], f"x{mine}", owner, '["password","anna",""]', ""):
        assert who(everybody.browser(), cookie=f"{SIGNED}={forged}")["role"] == "visitor"


def test_another_password_a_lower_role_and_removal_act_at_once(tmp_path: Path) -> None:
    app = App(tmp_path)
    app.persons.add("anna", Role.ADMIN, PASSWORD)
    browser = app.signed_in("anna")
    app.persons.give("anna", Role.VISITOR)
    assert (who(browser)["name"], who(browser)["role"]) == ("anna", "visitor")
    app.persons.secure("anna", "a third horse")
    assert who(browser)["name"] == ""
    again = app.signed_in("anna", "a third horse")
    app.persons.remove("anna")
    assert who(again)["name"] == ""


def test_other_sites_sign_nobody_in(everybody: App) -> None:
    form = {"name": "anna", "password": PASSWORD}
    answer = everybody.browser().post("/sign-in", data=form, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


def test_a_huge_form_is_refused(everybody: App) -> None:
    assert enter(everybody.browser(), "anna", "x" * 100_000).status_code == 400


# --- wrong passwords ------------------------------------------------------------------------


def test_many_wrong_passwords_wait_and_the_right_one_waits_with_them(tmp_path: Path) -> None:
    now = [0.0]
    app = App(tmp_path, Attempts(lambda: now[0]))
    app.persons.add("anna", Role.ADMIN, PASSWORD)
    browser = app.browser()
    answers = [enter(browser, "anna", f"wrong horse {number}") for number in range(FREE + 2)]
    assert [each.status_code for each in answers] == [403] * (FREE + 1) + [429]
    assert "too many wrong passwords: try again in 2 s." in answers[-1].text
    assert enter(browser, "anna", PASSWORD).status_code == 429
    now[0] += 2.1
    assert enter(browser, "anna", PASSWORD).status_code == 303
    assert enter(app.browser(), "anna", "wrong horse").status_code == 403  # forgiven


def test_waits_double_up_to_a_lock_by_address_that_ends() -> None:
    now, waits = [0.0], []
    attempts = Attempts(lambda: now[0])
    for number in range(20):
        attempts.begin(f"name {number}", "203.0.113.9")  # another name each time
        waits.append(_wait(attempts, "203.0.113.9"))
        now[0] += waits[-1]
    assert waits[: FREE + 4] == [0] * FREE + [2, 4, 8, 16] and waits[-1] == ADDRESS_WAIT


def test_nobody_keeps_another_out_for_long_by_their_name() -> None:
    now = [0.0]
    attempts = Attempts(lambda: now[0])
    for number in range(30):
        attempts.begin("anna", f"203.0.113.{number}")
        now[0] += NAME_WAIT
    attempts.begin("anna", "198.51.100.1")
    now[0] += 1.0
    attempts.begin("ben", "198.51.100.2")  # nobody else waits


def test_many_names_and_addresses_take_no_more_memory() -> None:
    attempts = Attempts(lambda: 0.0)
    for number in range(2 * MOST):
        attempts.begin(f"name {number}", "")
    assert len(attempts._failures) <= MOST


def _wait(attempts: Attempts, address: str) -> float:
    """Seconds until the next attempt from there is heard."""
    failures = attempts._failures[f"address {address}"]
    if failures.until > failures.at:
        with pytest.raises(NotAllowed, match="try again in"):
            attempts.begin("somebody", address)
    return failures.until - failures.at


# --- the file -------------------------------------------------------------------------------


def test_the_file_holds_no_password_and_is_for_this_user_alone(everybody: App) -> None:
    path = everybody.owners.data / "persons.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert PASSWORD not in path.read_text() and {"anna", "ben"} == {
        each["name"] for each in json.loads(path.read_text())["persons"]
    }


def test_the_same_password_looks_different_for_two_people(tmp_path: Path) -> None:
    kept = Persons(tmp_path)
    first, second = (kept.add(name, Role.MEMBER, PASSWORD) for name in ("anna", "ben"))
    assert first.digest != second.digest


def test_a_damaged_file_signs_nobody_in_and_is_told_to_whoever_runs_it(
    everybody: App, tmp_path: Path
) -> None:
    app = App(tmp_path)
    app.persons.add("anna", Role.ADMIN, PASSWORD)
    browser = app.signed_in("anna")
    (tmp_path / "persons.json").write_text("{")
    assert who(browser)["name"] == ""
    with pytest.raises(BadInput, match=r"persons\.json"):
        app.persons.all()
    assert enter(browser, "anna", PASSWORD).status_code == 400


@pytest.mark.parametrize(
    ("name", "password", "sentence"),
    [
        ("anna", PASSWORD, "already somebody called 'anna'"),
        ("an na", PASSWORD, "1 to 64 letters"),
        ("-rf", PASSWORD, "1 to 64 letters"),
        ("carl", "short", "10 to 200 characters, found 5"),
        ("carl", "x" * 201, "10 to 200 characters, found 201"),
    ],
)
def test_who_cannot_be_added_is_told_why(everybody: App, name: str, password: str, sentence: str) -> None:
    with pytest.raises(BadInput, match=sentence):
        everybody.persons.add(name, Role.MEMBER, password)


def test_who_is_not_there_cannot_be_changed(everybody: App) -> None:
    with pytest.raises(NotFound, match="there is: anna, ben"):
        everybody.persons.give("carl", Role.ADMIN)


# --- where everybody has to sign in ---------------------------------------------------------


def test_where_nobody_is_anonymous_only_the_way_in_is_open(everybody: App, set_to: Any) -> None:
    set_to(anonymous="false")
    stranger = everybody.browser()
    sent = stranger.get("/", headers=PAGE)
    assert sent.status_code == 303 and sent.headers["location"] == "/sign-in"
    refused = stranger.get("/who")
    assert refused.status_code == 401 and "those who sign in" in refused.text
    assert COOKIE not in stranger.cookies
    assert everybody.browser(HERE, "localhost").get("/who", headers=PAGE).status_code == 303
    page = stranger.get("/sign-in", headers=PAGE)
    assert page.status_code == 200 and "Password" in page.text and "Back to the app" not in page.text
    assert who(everybody.signed_in("ben", "another horse"))["name"] == "ben"


# --- a trusted proxy ------------------------------------------------------------------------

PROXY = ("10.1.2.3", 40000)
TRUST = {"proxy_header": "X-Forwarded-User", "trusted_proxies": "192.0.2.1, 10.0.0.0/8", "admins": "Anna"}


def test_a_trusted_proxy_says_who_it_is(everybody: App, set_to: Any) -> None:
    set_to(**TRUST)
    asked = who(everybody.browser(PROXY), **{"x-forwarded-user": "anna"})
    assert (asked["name"], asked["role"]) == ("anna", "admin")
    other = who(everybody.browser(PROXY), **{"x-forwarded-user": "carl"})
    assert other["role"] == "member" and other["owner"] != asked["owner"]
    assert asked["owner"] != who(everybody.signed_in("anna"))["owner"]  # who has the same name here


@pytest.mark.parametrize("peer", [AFAR, HERE, ("not an address", 1), ("11.0.0.1", 1)])
def test_nobody_else_is_believed(everybody: App, set_to: Any, peer: tuple[str, int]) -> None:
    set_to(**TRUST)
    asked = who(everybody.browser(peer), **{"x-forwarded-user": "anna", "x-forwarded-for": "10.1.2.3"})
    assert (asked["name"], asked["role"]) == ("", "visitor")


def test_the_header_means_nothing_where_no_proxy_was_named(everybody: App, set_to: Any) -> None:
    set_to(proxy_header="X-Forwarded-User")
    assert who(everybody.browser(HERE), **{"x-forwarded-user": "anna"})["name"] == ""


def test_a_header_that_comes_twice_or_empty_names_nobody(everybody: App, set_to: Any) -> None:
    set_to(**TRUST)
    browser = everybody.browser(PROXY)
    twice = [("accept", "text/html"), ("x-forwarded-user", "anna"), ("x-forwarded-user", "carl")]
    assert browser.get("/who", headers=twice).json()["name"] == ""
    assert who(browser, **{"x-forwarded-user": " "})["name"] == ""


def test_a_proxy_that_is_no_address_is_refused_at_the_start(set_to: Any) -> None:
    set_to(trusted_proxies="proxy.local")
    with pytest.raises(ValueError, match="trusted_proxies"):
        settings()
