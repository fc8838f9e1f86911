"""Who signs in, and that the token is seen nowhere."""

from __future__ import annotations

import io
import logging
import stat

import pytest

from tests.hub.fake_hub import TOKEN, FakeHub
from vlm_app import hub as room
from vlm_app.cli import main
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.settings import settings


def test_who_signs_in_is_named_and_the_token_is_the_owners_alone(hub: FakeHub) -> None:
    assert room.signed_in() == ""
    assert room.sign_in(f" {TOKEN}\n") == "ada"
    assert room.signed_in() == "ada"
    path = settings().data / "models" / "hub-token.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    room.sign_out()
    assert room.signed_in() == "" and not path.exists()


def test_the_token_goes_to_the_hub_and_nobody_else_sends_one(hub: FakeHub) -> None:
    room.check("some/qwen")
    assert set(hub.tokens) == {""}
    room.sign_in(TOKEN)
    hub.tokens.clear()
    room.check("some/qwen")
    assert set(hub.tokens) == {TOKEN}


def test_the_environments_token_counts(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert room.signed_in() == "HF_TOKEN"
    room.check("some/qwen")
    assert set(hub.tokens) == {TOKEN}


def test_a_token_that_the_hub_does_not_know_is_refused_and_not_kept(hub: FakeHub) -> None:
    with pytest.raises(BadInput, match="does not know this token") as failure:
        room.sign_in("hf_wrong")
    assert failure.value.__context__ is None
    assert room.signed_in() == ""


@pytest.mark.parametrize("token", ["", "two words", "hf_é", "hf_" + "x" * 500])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(BadInput, match="not a token"):
        room.sign_in(token)


def test_without_a_network_the_token_is_kept_unchecked() -> None:
    assert room.sign_in(TOKEN) == ""
    assert room.signed_in() == "a token not yet checked"


def test_the_token_is_in_no_output_log_error_or_other_file(
    hub: FakeHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("sys.stdin", io.StringIO(TOKEN + "\n"))
    assert main(["models", "sign-in"]) == 0
    assert main(["models", "add", "some/qwen"]) == 0
    assert main(["models", "check", "some/qwen"]) == 0
    hub.status = 503
    with pytest.raises(ModelUnavailable) as failure:
        room.upgrade("some/qwen")
    assert main(["models", "upgrade", "some/qwen"]) == 1
    behind = failure.value.__context__
    assert behind is not None and TOKEN not in str(vars(behind)["response"].request.headers.raw)
    said = capsys.readouterr()
    assert "Signed in as ada." in said.out
    assert TOKEN not in said.out + said.err + caplog.text + repr(failure.value)
    for path in (settings().data / "models").iterdir():
        assert path.name == "hub-token.json" or TOKEN not in path.read_text()
