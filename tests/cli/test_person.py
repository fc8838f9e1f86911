"""`vlm-app person`: who signs in, and what they may do."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from vlm_app.cli import main
from vlm_app.people import Role
from vlm_app.settings import settings
from vlm_app.store import persons
from vlm_app.store.persons import Persons

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command with a data folder of the test's own, and what it reads from a pipe."""
    monkeypatch.setenv("VLM_APP_DATA", str(tmp_path))
    monkeypatch.setattr(persons, "_COST", 2**8)
    settings.cache_clear()

    def ran(*words: str, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main(["person", *words])
        said = capsys.readouterr()
        return status, said.out, said.err

    return ran


def test_somebody_is_added_changed_and_removed(run: Run, tmp_path: Path) -> None:
    assert run() == (0, "", "Nobody signs in here yet: vlm-app person add NAME --role ROLE.\n")
    assert run("add", "Anna", "--role", "admin", typed="correct horse\n") == (0, "anna  admin\n", "")
    assert run("add", "ben", typed="another horse") == (0, "ben  member\n", "")
    assert run("role", "ben", "visitor") == (0, "ben  visitor\n", "")
    assert run("password", "ben", typed="a third horse\n")[0] == 0
    entry = Persons(tmp_path).proven("ben", "a third horse")
    assert entry is not None and entry.role is Role.VISITOR
    assert run()[1] == "anna  admin\nben  visitor\n"
    assert run("remove", "anna")[0] == 0
    assert run()[1] == "ben  visitor\n"


def test_what_is_wrong_is_told_in_a_sentence(run: Run) -> None:
    assert run("add", "anna", typed="short\n")[::2] == (
        2,
        "A password has 10 to 200 characters, found 5: choose another.\n",
    )
    status, _, said = run("role", "anna", "admin")
    assert status == 2 and "there is: nobody yet" in said


def test_a_password_in_other_bytes_and_a_folder_that_cannot_be_written_are_sentences(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status, _, said = run("add", "anna", typed="correct \udce9 horse\n")
    assert status == 2 and "text in UTF-8, found other bytes" in said
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("VLM_APP_DATA", str(tmp_path / "file" / "data"))
    settings.cache_clear()
    status, _, said = run("add", "anna", typed="correct horse\n")
    assert status == 1 and "cannot be used" in said and "VLM_APP_DATA" in said


def test_no_password_is_an_argument_that_others_see(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("add", "anna", "correct horse")
    assert "correct horse" in capsys.readouterr().err  # refused as an unknown argument
