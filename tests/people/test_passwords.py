"""Wrong passwords are slowed down, and what of a right one is kept."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pytest

from tests.people.app import PASSWORD, App, enter, who
from vlm_app.api import attempts as attempts_module
from vlm_app.api.attempts import ADDRESS_WAIT, FREE, NAME_WAIT, Attempts
from vlm_app.errors import BadInput, NotAllowed, NotFound
from vlm_app.people import Role
from vlm_app.store.persons import Persons


def test_a_password_is_kept_as_scrypt_makes_it_at_a_cost_that_slows_guessing(tmp_path: Path) -> None:
    entry = Persons(tmp_path).add("anna", Role.MEMBER, PASSWORD)
    salt = bytes.fromhex(entry.salt)
    digest = hashlib.scrypt(PASSWORD.encode(), salt=salt, n=2**15, r=8, p=3, maxmem=2**27, dklen=32)
    assert (entry.digest, len(salt)) == (digest.hex(), 16)


# --- wrong passwords ------------------------------------------------------------------------


def test_many_wrong_passwords_wait_and_the_right_one_waits_with_them(quick: None, tmp_path: Path) -> None:
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


def test_many_names_and_addresses_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts_module, "MOST", 500)
    attempts = Attempts(lambda: 0.0)
    for number in range(2_000):
        attempts.begin(f"name {number}", "")
    assert len(attempts._failures) <= 500
    assert "name name 1999" in attempts._failures and "name name 0" not in attempts._failures


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


def test_the_same_password_looks_different_for_two_people(quick: None, tmp_path: Path) -> None:
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
