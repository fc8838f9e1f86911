"""Signing in: by a password, by what a trusted proxy says, and at a laptop not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.people.app import AFAR, HERE, PAGE, PASSWORD, App, enter, who
from vlm_app.api.owner import COOKIE
from vlm_app.api.people import SIGNED
from vlm_app.people import Role
from vlm_app.settings import settings

pytestmark = pytest.mark.usefixtures("quick")


# --- at a laptop, and from elsewhere --------------------------------------------------------


def test_who_sits_at_a_laptop_may_do_everything_without_signing_in(everybody: App) -> None:
    for host in ("localhost:7860", "127.0.0.1:7860", "[::1]:7860"):
        assert who(everybody.browser(HERE, host))["role"] == "admin"
    assert who(everybody.browser(("::ffff:127.0.0.1", 1), "localhost"))["role"] == "admin"


def test_only_the_data_of_who_sits_at_a_laptop_never_goes_by_its_age(everybody: App, set_to: Any) -> None:
    """It goes by the owner's id, which is longer there."""

    def owner(peer: tuple[str, int]) -> str:
        return who(everybody.browser(peer, "localhost"))["owner"]

    assert owner(HERE).startswith("home-") and len(owner(AFAR)) == 24
    set_to(everyone="admin")
    assert owner(HERE).startswith("home-") and len(owner(AFAR)) == 24
    set_to(place="container")
    assert len(owner(HERE)) == 24


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


@pytest.mark.parametrize("host", ["[", "[zz]", "a]:1"])
def test_a_host_that_is_none_is_nobodys_home(everybody: App, host: str) -> None:
    assert who(everybody.browser(HERE, "localhost"), host=host)["role"] == "visitor"


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


# --- where everybody has to sign in ---------------------------------------------------------


def test_where_nobody_is_anonymous_only_the_way_in_is_open(everybody: App, set_to: Any) -> None:
    set_to(anonymous="false")
    stranger = everybody.browser()
    sent = stranger.get("/", headers=PAGE)
    assert sent.status_code == 303 and sent.headers["location"] == "/sign-in"
    refused = stranger.get("/who")
    assert refused.status_code == 401 and "those who sign in" in refused.text
    pressed = stranger.post("/gradio_api/queue/join", json={})
    assert pressed.status_code == 401 and "those who sign in" in pressed.json()["detail"]
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
    assert browser.get("/", headers=twice).json()["name"] == ""
    assert who(browser, **{"x-forwarded-user": " "})["name"] == ""


def test_whoever_comes_from_a_named_proxys_address_is_not_at_home(everybody: App, set_to: Any) -> None:
    """A proxy may ask for localhost and leave no trace of whom it asks for."""
    set_to(**{**TRUST, "trusted_proxies": "127.0.0.1"})
    nameless = everybody.browser(HERE, "localhost")
    assert who(nameless)["role"] == "visitor"
    twice = [("accept", "text/html"), ("x-forwarded-user", "anna"), ("x-forwarded-user", "carl")]
    assert nameless.get("/", headers=twice).json()["role"] == "visitor"


def test_a_proxy_that_is_no_address_is_refused_at_the_start(set_to: Any) -> None:
    set_to(trusted_proxies="proxy.local")
    with pytest.raises(ValueError, match="trusted_proxies"):
        settings()
