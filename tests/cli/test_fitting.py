"""What `vlm-app models explain` says of memory."""

from __future__ import annotations

import json

import pytest

from vlm_app.cli import main


def test_a_model_on_disk_is_explained_with_its_exact_memory(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "explain", "pebble"]) == 0
    said = capsys.readouterr().out
    assert "nf4    9" in said or "nf4    1" in said
    assert "weights 17 MB" in said or "weights 35 MB" in said  # in bf16, or fp32 where that is all there is
    assert "On this computer (" in said and " to spare." in said and "about" not in said.partition("bf16")[2]


def test_without_a_network_the_estimate_says_that_it_is_rough(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "explain", "qwen3-vl-32b"]) == 0
    said = capsys.readouterr().out
    assert "Rough: from the number of its parameters, as the Hub could not be asked" in said
    assert "nf4    about " in said


def test_what_a_server_runs_is_not_weighed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "explain", "qwen-vl-chat"]) == 0
    assert "Not loaded here: needs a server (vLLM)" in capsys.readouterr().out


def test_json_holds_the_bytes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "explain", "pebble", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    nf4 = found["estimates"]["nf4"]
    assert nf4["exact"] and nf4["total"] == sum(
        nf4[part] for part in ("weights", "cache", "images", "reserve")
    )
    assert found["fit"]["fits"] and found["fit"]["words"].startswith("fits in ")


def test_nothing_to_explain_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "explain"]) == 2
    assert "There is nothing to explain" in capsys.readouterr().err
