"""The list of models at a terminal: filtered, explained, locked, checked, added to."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from vlm_app import hub as room
from vlm_app.cli import main
from vlm_app.errors import ModelUnavailable
from vlm_app.hub import Finding, Found

Printed = pytest.CaptureFixture[str]
COMMIT = "a" * 40


def listed(capsys: Printed, *arguments: str) -> list[str]:
    """The ids of the rows that are listed."""
    assert main(["models", "--json", *arguments]) == 0
    return [row["id"] for row in json.loads(capsys.readouterr().out)]


def test_the_filters_of_the_documentation_work(capsys: Printed) -> None:
    asked = "--task ocr --max-memory 8GB --licence permissive --language zh".split()
    found = listed(capsys, *asked)
    assert found and "qwen2.5-vl-72b" not in found and "pebble" not in found
    assert set(found) < set(listed(capsys, "--task", "ocr"))
    assert listed(capsys, "--family", "pebble") == ["pebble"]
    assert listed(capsys, "--text", "gated cross-attention resampler")
    assert set(listed(capsys, "--max-memory", "500 mb")) < set(listed(capsys, "--max-memory", "1.5"))


def test_a_list_that_is_empty_says_so(capsys: Printed) -> None:
    assert main(["models", "--task", "segment", "--language", "zz"]) == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err == "No model of the catalog fits; ask for less.\n"


def test_each_row_says_what_runs_where(capsys: Printed) -> None:
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()

    def last_line(id: str) -> str:
        (index,) = (i for i, line in enumerate(lines) if line.split(" ", 1)[0] == id)
        return lines[index + 2].strip()

    assert last_line("pebble") == "runs in this app; about 4 MB in nf4"
    assert last_line("molmo-72b").startswith("needs a server (vLLM or SGLang), as it needs its own code")
    assert last_line("ferret-7b").startswith("parser only: its answers can be read") and (
        "GB" not in last_line("ferret-7b") and "memory" not in last_line("ferret-7b")
    )
    assert last_line("gpt-4o") == "a service, by its protocol"
    assert last_line("kosmos-2").endswith("not checked on the Hub yet")


def test_one_is_explained_with_its_sources(capsys: Printed) -> None:
    assert main(["models", "paligemma-3b-mix-224"]) == 0
    said = capsys.readouterr().out
    gate = "gated: accept the licence at https://huggingface.co/google/paligemma-3b-mix-224, then sign in"
    assert gate in said and "https://arxiv.org/abs/2407.07726" in said and "not stated by its sources" in said
    assert main(["models", "idefics-9b"]) == 0
    assert "a base model: it completes text, and does not chat" in capsys.readouterr().out


def test_a_mistyped_id_gets_its_neighbours(capsys: Printed) -> None:
    assert main(["models", "qwen25-vl-7b"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("There is no model 'qwen25-vl-7b' in the catalog; choose one of: qwen2.5-vl-7b")
    assert len(said) < 300


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nobody", "extra"], "not one of lock, upgrade, check"),
        (["--task", "fly"], "There is no task 'fly'"),
        (["--max-memory", "much"], "no amount of memory"),
        (["--max-memory", "-3GB"], "--help"),
        (["--licence", "free"], "--help"),
        (["lock", "pebble"], "not on the Hub"),
        (["check", "nobody"], "no model 'nobody'"),
        (["upgrade", "gpt-4o"], "not on the Hub"),
        (["add"], "nothing to add"),
        (["add", "nowhere"], "neither a folder nor a repository"),
    ],
)
def test_bad_input_is_one_sentence_and_status_2(arguments: list[str], words: str, capsys: Printed) -> None:
    try:
        status: Any = main(["models", *arguments])
    except SystemExit as left:
        status = left.code
    said = capsys.readouterr()
    assert status == 2 and said.out == ""
    assert words in said.err and said.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["lock", "kosmos-2"], ["upgrade", "kosmos-2"], ["check"], ["add", "a/b"], ["search", "qwen"]],
)
def test_without_a_network_it_is_status_1_and_one_sentence(arguments: list[str], capsys: Printed) -> None:
    assert main(["models", *arguments]) == 1
    said = capsys.readouterr()
    assert said.out == "" and "check the network" in said.err and said.err.count("\n") == 1


def test_a_commit_is_locked_upgraded_and_shown(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    def upgrade(repo: str) -> str:
        room.keep(repo, COMMIT)
        return COMMIT

    monkeypatch.setattr(room, "upgrade", upgrade)
    assert main(["models", "upgrade", "kosmos-2"]) == 0
    assert capsys.readouterr().out == f"kosmos-2: none -> {COMMIT}\n"
    assert main(["models", "upgrade", "kosmos-2"]) == 0
    assert capsys.readouterr().out == f"kosmos-2: {COMMIT} (unchanged)\n"
    assert main(["models", "lock", "kosmos-2"]) == 0
    assert main(["models", "kosmos-2"]) == 0
    assert capsys.readouterr().out.count(COMMIT) == 2


def test_a_check_goes_on_until_the_hub_fails(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([Finding("2026-01-02", True, "manual", "mit", True, 5), Finding("2026-01-02", False)])

    def check(repo: str) -> Finding:
        answer = next(answers, None)
        if answer is None:
            raise ModelUnavailable("The Hub could not be asked; try again later.")
        return answer

    monkeypatch.setattr(room, "check", check)
    assert main(["models", "check", "kosmos-2", "fuyu-8b", "got-ocr-2.0"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "kosmos-2: exists, gated (manual), licence mit, safetensors, 5 parameters (2026-01-02)",
        "fuyu-8b: no such public repository (2026-01-02)",
    ]
    assert said.err == "The Hub could not be asked; try again later.\n"


def test_a_folder_is_added_and_listed_as_unlisted(tmp_path: Path, capsys: Printed) -> None:
    from tests.hub.conftest import files

    folder = tmp_path / "mine"
    folder.mkdir()
    for name, data in files(model_type="smolvlm").items():
        (folder / name).write_bytes(data)
    assert main(["models", "add", str(folder)]) == 0
    assert capsys.readouterr().out == "mine: unlisted, family smolvlm\n"
    assert main(["models", "mine"]) == 0
    assert capsys.readouterr().out.startswith("mine (unlisted: not from the project's catalog)\n")


def test_a_search_is_printed(capsys: Printed, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = (Found("a/b", 7, True, "mit", "llava"), Found("c/d"))
    monkeypatch.setattr(room, "search_hub", lambda words: hits if words == "two words" else ())
    assert main(["models", "search", "two", "words"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "a/b: family llava, mit, gated; 7 downloads",
        "c/d: family not known; 0 downloads",
    ]


def test_a_token_is_read_from_a_pipe_and_not_printed(
    capsys: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("sys.stdin", io.StringIO("hf_secret\n"))
    assert main(["models", "sign-in"]) == 0
    assert main(["models", "sign-out"]) == 0
    said = capsys.readouterr()
    assert said.out == "The token is kept; the Hub could not be asked about it.\nSigned out.\n"
    assert "hf_secret" not in said.out + said.err
