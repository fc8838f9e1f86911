"""An answer goes on by itself; whoever looks sees the latest of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from vlm_app.chat import ChatSettings, Conversation, Progress
from vlm_app.errors import BadInput, NotFound
from vlm_app.types import Answer
from vlm_app.ui import writing
from vlm_app.ui.running import Running
from vlm_app.ui.writing import Writings

KEY = ("me", "chat")
BEAT = 0.02


@pytest.fixture
def writings() -> Writings:
    return Writings(Running())


class Pen:
    """Writes a word whenever it may, until it is stopped."""

    def __init__(self, end: Exception | None = None) -> None:
        self.stop, self.may, self.end = threading.Event(), threading.Semaphore(0), end
        now = datetime.now(UTC)
        chat = Conversation("chat", "me", "Chat", ChatSettings("pebble"), (), now, now)
        self.step = Progress(chat, Answer("", model="pebble"), done=False)

    def write(self) -> Generator[Progress]:
        words = 0
        yield self._said(words)
        while not self.stop.is_set():
            if self.may.acquire(timeout=BEAT):
                words += 1
                yield self._said(words)
        if self.end is not None:
            raise self.end
        yield replace(self._said(words), done=True)

    def _said(self, words: int) -> Progress:
        return replace(self.step, answer=replace(self.step.answer, text="word " * words))


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(BEAT)


def test_who_looks_sees_the_latest_step_then_the_last(writings: Writings) -> None:
    pen = Pen()
    one = writings.begin(KEY, pen.stop, pen.write)
    for _ in range(50):
        pen.may.release()
    until(lambda: one.latest.answer.text.count("word") == 50)
    seen = one.steps(BEAT)
    first = next(seen)
    assert first is not None and first.answer.text.count("word") == 50 and next(seen) is None
    pen.stop.set()
    last = [step for step in seen if step is not None]
    assert [step.done for step in last] == [True]
    assert writings.of(KEY) is None and [step.done for step in one.steps(BEAT) if step] == [True]


def test_two_look_at_one_answer_and_it_goes_on_when_nobody_does(writings: Writings) -> None:
    pen = Pen()
    one = writings.begin(KEY, pen.stop, pen.write)
    looks = [one.steps(BEAT), one.steps(BEAT)]
    assert all(next(look) is not None for look in looks)
    for look in looks:
        look.close()  # type: ignore[attr-defined]
    pen.may.release()
    until(lambda: one.latest.answer.text == "word ")
    assert writings.of(KEY) is one
    pen.stop.set()
    until(lambda: writings.of(KEY) is None)
    assert one.latest.done


def test_what_could_not_be_asked_is_raised_and_nothing_is_written(writings: Writings) -> None:
    def refused() -> Generator[Progress]:
        raise BadInput("Write something.")

    with pytest.raises(BadInput):
        writings.begin(KEY, threading.Event(), refused)
    assert writings.of(KEY) is None


@pytest.mark.parametrize("error", [NotFound("It was deleted."), RuntimeError("a bug")])
def test_what_goes_wrong_at_the_end_is_told_to_who_looks_and_a_bug_is_logged(
    writings: Writings, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    pen = Pen(error)
    one = writings.begin(KEY, pen.stop, pen.write)
    pen.stop.set()
    with pytest.raises(type(error)):
        list(one.steps(BEAT))
    assert ("could not be written" in caplog.text) == isinstance(error, RuntimeError)
    assert writings.of(KEY) is None


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_closed_tab_ends_its_answer_where_nobody_comes_back(
    writings: Writings, monkeypatch: pytest.MonkeyPatch, comes_back: bool
) -> None:
    monkeypatch.setattr(writing, "ALONE", 2.0 if comes_back else 0.1)
    pen = Pen()
    one = writings.begin(KEY, pen.stop, pen.write)
    next(one.steps(BEAT))
    one.leave()
    if comes_back:
        next(one.steps(BEAT))
    assert pen.stop.wait(3.0 if comes_back else 20.0) is not comes_back
    pen.stop.set()


def test_the_later_of_two_answers_in_a_chat_is_seen(writings: Writings) -> None:
    pens = [Pen(), Pen()]
    one, other = (writings.begin(KEY, pen.stop, pen.write) for pen in pens)
    assert writings.of(KEY) is other
    pens[0].stop.set()
    until(lambda: one.latest.done)
    assert writings.of(KEY) is other
    pens[1].stop.set()
    until(lambda: writings.of(KEY) is None)
