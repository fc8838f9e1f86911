"""Servers from a terminal."""

from __future__ import annotations

import getpass

import pytest

from tests.servers import fault_server
from tests.servers.fault_server import KEY
from vlm_app.cli import main


def test_a_server_is_added_listed_corrected_and_removed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(getpass, "getpass", lambda prompt: KEY)
    with fault_server.serving() as running:
        assert main(["servers", "add", "gpu", running.url, "--kind", "vllm", "--key"]) == 0
        assert running.keys == [f"Bearer {KEY}"]
    out = capsys.readouterr().out
    assert "gpu  vLLM at" in out and "gpu/Qwen/Qwen3-VL-4B-Instruct  speaks like qwen3_vl" in out
    assert main(["servers", "family", "gpu", "my-finetune", "molmo"]) == 0
    assert main(["servers"]) == 0
    listed = capsys.readouterr().out
    assert "gpu/my-finetune  speaks like molmo" in listed and KEY not in out + listed
    assert main(["models", "gpu/my-finetune"]) == 0
    assert main(["servers", "remove", "gpu"]) == 0
    assert main(["servers"]) == 0
    assert "No server was added yet" in capsys.readouterr().err


def test_a_server_that_is_down_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["servers", "add", "gpu", "http://127.0.0.1:9/v1"]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert main(["servers", "refresh", "nobody"]) == 2
    assert "no server 'nobody'" in capsys.readouterr().err
