"""`vlm-app adapters`, as somebody at a terminal meets it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vlm_app.engine
from tests.api.test_adapter_routes import zipped
from tests.finetune.app import engine
from tests.hub.conftest import hub as hub  # a fixture
from tests.hub.fake_hub import TOKEN, FakeHub
from vlm_app.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")  # the Hub's client


@pytest.fixture(autouse=True)
def models(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = engine()
    monkeypatch.setattr(vlm_app.engine, "engine", lambda: made)
    yield
    made.close()


@pytest.fixture
def id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """An adapter that was brought; its id, as the command prints it."""
    path = tmp_path / "hearts.zip"
    path.write_bytes(zipped())
    assert main(["adapters", "bring", str(path)]) == 0
    return capsys.readouterr().out.strip()


def test_adapters_are_listed_shown_written_and_deleted(
    id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapters"]) == 0
    assert f"{id}  hearts, for pebble" in capsys.readouterr().out
    assert main(["adapters", "--json"]) == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["id"], listed["card"]["name"]) == (id, "hearts") and "owner" not in listed["card"]
    assert main(["adapters", id]) == 0
    assert json.loads(capsys.readouterr().out)["base"] == "pebble"
    assert main(["adapters", "export", id, str(tmp_path / "out.zip")]) == 0
    assert (tmp_path / "out.zip").read_bytes()[:2] == b"PK"
    assert main(["adapters", "delete", id]) == 0
    capsys.readouterr()
    assert main(["adapters"]) == 0
    assert capsys.readouterr().out == ""


def test_an_adapter_is_pushed_with_a_token_that_is_not_an_argument(
    id: str, hub: FakeHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{TOKEN}\n"))
    assert main(["adapters", "push", id, "ada/hearts", "--private"]) == 0
    said = capsys.readouterr()
    assert said.out == "https://huggingface.co/ada/hearts\n" and TOKEN not in said.err
    assert hub.repos["ada/hearts"].private


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing"], "no adapter 'nothing'"),
        (["export", "x"], "a file to write"),
        (["delete"], "an adapter"),
        (["bring", "/nowhere.zip"], "no file"),
        (["push", "nothing", "ada/hearts"], "no adapter 'nothing'"),
        (["what", "x"], "is not one of"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adapters", *arguments]) == 2
    said = capsys.readouterr().err
    assert words in said and said.endswith(".\n") and said.count("\n") == 1
