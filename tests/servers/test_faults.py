"""A server goes wrong: one clear sentence, nothing hangs, no key appears, the next request works."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.servers.fault_server import KEY, TEXT, Faults
from tests.sizes import size
from vlm_app import servers
from vlm_app.errors import AppError, GenerationFailed, ModelUnavailable
from vlm_app.servers import Completion, Patience, Said, Server, breaker, client
from vlm_app.servers import health as lately

QUICK = Patience(connect=20, first_token=60, stall=60, backoff=0.01)
SHORT = Patience(connect=20, first_token=1, stall=1, backoff=0.01)  # for who will not answer
BODY = {"model": "m", "messages": [{"role": "user", "content": "What is it?"}]}


def ask(server: Server, patience: Patience = QUICK) -> list[Said]:
    with Completion(server, BODY, patience) as completion:
        return [said for said in completion.pieces(0.05) if said != Said()]


def text_of(pieces: list[Said]) -> str:
    return "".join(said.text for said in pieces)


def test_an_answer_streams_with_its_reason_and_its_tokens(server: Server) -> None:
    pieces = ask(server)
    assert text_of(pieces) == TEXT
    assert [said.finish for said in pieces if said.finish] == ["stop"]
    assert (pieces[-1].prompt_tokens, pieces[-1].completion_tokens) == (30, 7)
    assert lately(server.name).latency is not None


# What the server does, what is said of it, whether a part of the answer was shown before.
FAULTS = {
    "stall": ("'gpu' stopped in the middle of the answer: ask again", True),
    "silent": ("'gpu' did not begin to answer in time", False),
    "cut number": ("'gpu' closed the connection in the middle of the answer: continue it", True),
    "cut byte": ("'gpu' closed the connection in the middle of the answer", True),
    "no reason": ("'gpu' closed the connection in the middle of the answer", True),
    "nonsense": ("'gpu' answered with something that is not the OpenAI protocol", False),
    "page": ("'gpu' answered with something that is not the OpenAI protocol", False),
    "inside": ("'gpu' ended the answer: 'the card is full, …'", True),
    "400": ("'gpu' refused the question: 'no, … is not enough'", False),
    "401": ("'gpu' does not accept its key: set VLM_APP_KEY_GPU", False),
    "404": ("'gpu' has no such model or address", False),
    "413": ("'gpu' finds the question too large: send fewer images", False),
    "429": ("'gpu' has too many requests: ask again in a while", False),
    "429 600": ("'gpu' has too many requests: ask again in 600 seconds", False),
    "500": ("'gpu' failed with status 500: 'no, … is not enough'", False),
    "close": ("'gpu' cannot be reached at http://127.0.0.1", False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_and_the_next_request_works(
    fault: str, faults: Faults, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    faults.script = [fault]
    begun = time.monotonic()
    with pytest.raises(AppError) as failure:
        ask(server, SHORT if fault in ("stall", "silent") else QUICK)
    assert time.monotonic() - begun < size(30, 5)
    sentence, shown = FAULTS[fault]
    assert sentence in failure.value.sentence and "\n" not in failure.value.sentence
    assert isinstance(failure.value, GenerationFailed if shown else ModelUnavailable)
    assert failure.value.__context__ is None and failure.value.__cause__ is None
    assert KEY not in failure.value.sentence + caplog.text + repr(lately(server.name)) + repr(server)
    faults.script = ["answer"]
    assert text_of(ask(server)) == TEXT
    assert set(faults.keys) == {f"Bearer {KEY}"}


def test_what_was_said_before_a_cut_is_kept(faults: Faults, server: Server) -> None:
    faults.script = ["cut number"]
    heard = ""
    with Completion(server, BODY, QUICK) as completion, pytest.raises(GenerationFailed):
        for said in completion.pieces(0.05):
            heard += said.text
    assert heard == TEXT[: TEXT.index("20")]


@pytest.mark.parametrize("faulty", [["500", "500", "answer"], ["429 0", "answer"], ["503 0", "answer"]])
def test_a_server_in_trouble_is_asked_again(faulty: list[str], faults: Faults, server: Server) -> None:
    faults.script = list(faulty)
    assert text_of(ask(server)) == TEXT
    assert len(faults.asked) == len(faulty)


def test_a_retry_waits_as_long_as_the_server_says(faults: Faults, server: Server) -> None:
    faults.script = ["429 1", "answer"]
    begun = time.monotonic()
    ask(server)
    assert time.monotonic() - begun >= 1


def test_what_was_begun_is_not_asked_again(faults: Faults, server: Server) -> None:
    faults.script = ["cut number"]
    with pytest.raises(GenerationFailed):
        ask(server)
    assert len(faults.asked) == 1


def test_stop_closes_the_connection(faults: Faults, server: Server) -> None:
    faults.script = ["slow"]
    faults.text = "word " * 400
    with Completion(server, BODY, QUICK) as completion:
        next(said for said in completion.pieces(0.05) if said.text)
    assert faults.left.wait(5), "the server still writes"


def test_a_waiting_reader_can_leave_at_any_time(faults: Faults, server: Server) -> None:
    faults.script = ["silent"]
    with Completion(server, BODY) as completion:
        assert next(completion.pieces(0.05)) == Said()


def test_a_server_that_fails_three_times_rests_and_says_until_when(
    faults: Faults, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults.script = ["close"]
    once = replace(QUICK, retries=0)
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            ask(server, once)
    asked = len(faults.asked)
    with pytest.raises(
        ModelUnavailable, match=r"failed 3 times in a row and is left alone until \d\d:\d\d:\d\d"
    ):
        ask(server, once)
    assert len(faults.asked) == asked, "it was asked while it rests"
    faults.script = ["answer"]
    rested = time.monotonic() + breaker.REST
    monkeypatch.setattr(breaker, "time", SimpleNamespace(monotonic=lambda: rested, time=time.time))
    assert text_of(ask(server)) == TEXT
    assert lately(server.name).failures == 0


def test_what_was_under_way_when_it_began_to_rest_does_not_lengthen_the_rest() -> None:
    for _ in range(breaker.FAILURES + 8):
        breaker.failed("restarted", "It is down.", broken=True)
    assert lately("restarted").rests_until <= time.monotonic() + breaker.REST
    breaker.forget("restarted")


def test_a_server_that_only_names_its_role_has_not_begun_to_answer(faults: Faults, server: Server) -> None:
    faults.script = ["reads"]
    assert text_of(ask(server, replace(QUICK, stall=2))) == TEXT


def test_a_wrong_key_is_no_reason_to_rest(faults: Faults, server: Server) -> None:
    faults.script = ["401"]
    for _ in range(4):
        with pytest.raises(ModelUnavailable, match="does not accept its key"):
            ask(server)


def test_an_address_where_nothing_is_says_so_at_once() -> None:
    nowhere = servers.add("nowhere", "http://127.0.0.1:9/v1")
    begun = time.monotonic()
    with pytest.raises(ModelUnavailable, match=r"'nowhere' cannot be reached at http://127\.0\.0\.1:9/v1"):
        ask(nowhere)
    assert time.monotonic() - begun < size(30, 3)


def test_an_answer_is_whole_though_its_server_keeps_the_connection(faults: Faults, server: Server) -> None:
    faults.script = ["stays"]
    pieces = ask(server, replace(QUICK, stall=2))
    assert text_of(pieces) == TEXT and pieces[-1].finish == "stop"
    assert not lately(server.name).error


def test_a_server_may_be_down_for_a_week() -> None:
    for _ in range(1100):
        breaker.failed("gone", "It is down.", broken=True)
    assert lately("gone").rests_until <= time.monotonic() + breaker.LONGEST_REST
    breaker.forget("gone")


def test_a_fault_of_the_app_leaves_nobody_waiting(
    faults: Faults, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "fault", lambda *_, **__: 1 / 0)
    faults.script = ["cut number"]
    with (
        Completion(server, BODY, QUICK) as completion,
        pytest.raises(GenerationFailed, match="by a fault in"),
    ):
        for _ in zip(range(60), completion.pieces(0.05), strict=False):
            pass


def test_what_the_environment_holds_for_openai_goes_to_no_other_server(
    faults: Faults, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "org-elsewhere")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-elsewhere")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "key-elsewhere")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer elsewhere\nX-Gateway: elsewhere")
    ask(server)
    assert "elsewhere" not in str(faults.headers) and faults.keys == [f"Bearer {KEY}"]


def test_a_list_of_models_that_never_comes_is_a_sentence(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_models", lambda server: asyncio.sleep(60))
    monkeypatch.setattr(client, "_LIST_SECONDS", 0.1)
    with pytest.raises(ModelUnavailable, match="did not say in time which models it has"):
        client.models(server)
