"""A fixed set of models whose answers come from another process: what goes there and back is pickled."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.engine.tiny import END, picture, request, speak
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.events import Event, Loaded
from vlm_app.engine.fixed import FIXED, Apart, FixedEngine, Refused, Told
from vlm_app.errors import BadInput, GenerationFailed, ModelUnavailable
from vlm_app.store.sweeping import TEMPORARY
from vlm_app.types import Checkpoint, Finish, Request, Task
from vlm_app.ui.zerogpu import LEAST, MOST, duration


def pickled(answer: Apart) -> Apart:
    """Runs it here, with everything pickled on both ways."""

    def run(asked: Request, stop: str) -> Generator[Told]:
        for told in answer(pickle.loads(pickle.dumps(asked)), stop):
            yield pickle.loads(pickle.dumps(told))

    return run


@pytest.fixture
def fixed(loaded: LoadedModel) -> FixedEngine:
    other = Checkpoint("other", "Other", "pebble", "/nowhere", frozenset({Task.CHAT}))
    rows = {"pebble": loaded.checkpoint, "other": other}
    return FixedEngine(rows, {"pebble": loaded}, pickled, 10**9, {"other": "Other needs more than there is."})


def test_the_answer_is_the_one_that_this_process_would_give(
    fixed: FixedEngine, engine: Engine, loaded: LoadedModel
) -> None:
    asked = request(picture(), "Where?", tokens=60)
    with speak(loaded, f" There is <ref>a red circle<loc_64><loc_64><loc_128><loc_192>.{END}"):
        here = [delta for delta in engine.answer(asked) if delta.answer][-1].answer
    with speak(loaded, f" There is <ref>a red circle<loc_64><loc_64><loc_128><loc_192>.{END}"):
        there = [delta for delta in fixed.answer(asked) if delta.answer][-1].answer
    assert here and there
    assert (here.text, here.regions, here.raw) == (there.text, there.regions, there.raw)


def test_stop_reaches_the_other_process_and_what_was_written_is_kept(
    fixed: FixedEngine, loaded: LoadedModel
) -> None:
    stop = threading.Event()
    with speak(loaded, " one two three four five six seven eight nine ten" * 20, pause=0.05):
        answer = None
        for delta in fixed.answer(request(picture(), "Count", tokens=200), stop):
            if delta.text:
                stop.set()
            answer = delta.answer or answer
    assert answer and answer.finish is Finish.CANCELLED and answer.text
    assert answer.usage.completion_tokens < 150


def test_whoever_leaves_ends_the_answer(fixed: FixedEngine, loaded: LoadedModel) -> None:
    before = threading.active_count()
    with speak(loaded, " one two three four" * 50, pause=0.05):
        answering = fixed.answer(request(picture(), "Count", tokens=200))
        while not next(answering).text:
            pass
        answering.close()
        end = time.monotonic() + 20
        while threading.active_count() > before and time.monotonic() < end:
            time.sleep(0.05)
    assert threading.active_count() <= before


def test_what_a_crash_leaves_of_an_answer_is_swept(loaded: LoadedModel) -> None:
    folders: list[str] = []

    def watched(answer: Apart) -> Apart:
        def run(asked: Request, stop: str) -> Generator[Told]:
            folders.append(Path(stop).parent.name)
            yield Refused("BadInput", "Enough was seen.")

        return run

    engine = FixedEngine({"pebble": loaded.checkpoint}, {"pebble": loaded}, watched, 1)
    with pytest.raises(BadInput, match="Enough"):
        list(engine.answer(request(picture(), "What?")))
    assert folders and folders[0].startswith(TEMPORARY)


def test_a_refusal_of_the_other_process_keeps_its_sentence(fixed: FixedEngine, loaded: LoadedModel) -> None:
    asked = request(picture(), "word " * (loaded.context + 50))
    with pytest.raises(BadInput, match="begin a new chat"):
        list(fixed.answer(asked))


def test_what_breaks_there_is_told_without_its_name(loaded: LoadedModel) -> None:
    def broken(answer: Apart) -> Apart:
        def run(asked: Request, stop: str) -> Generator[Told]:
            raise KeyError("/home/somebody/secret")
            yield

        return run

    engine = FixedEngine({"pebble": loaded.checkpoint}, {"pebble": loaded}, broken, 1)
    with pytest.raises(GenerationFailed) as refused:
        list(engine.answer(request(picture(), "What?")))
    assert refused.value.sentence == "The process with the borrowed GPU failed while answering: ask again."


def test_nothing_is_loaded_unloaded_or_trained(fixed: FixedEngine) -> None:
    heard: list[Event] = []
    fixed.subscribe(heard.append)
    fixed.warm("pebble")
    assert isinstance(heard[0], Loaded)  # whoever asks whether the app is ready hears so
    assert fixed.state("pebble").status == "ready" and [each.model for each in fixed.models()] == ["pebble"]
    for refused in (lambda: fixed.unload("pebble"), lambda: fixed.reserve(1, "a training")):
        with pytest.raises(ModelUnavailable) as said:
            refused()
        assert said.value.sentence == FIXED
    assert fixed.state("other").detail == "Other needs more than there is."
    with pytest.raises(ModelUnavailable, match="Other needs more than there is"):
        list(fixed.answer(request(picture(), "What?", model="other")))
    with pytest.raises(ModelUnavailable, match="borrowed"):
        list(fixed.answer(request(picture(), "What?", precision="int8")))


def test_a_gpu_is_borrowed_for_as_long_as_the_question_asks_for(loaded: LoadedModel) -> None:
    small, large = 460 * 10**6, 8 * 10**9  # bytes of weights
    few = duration(request(picture(), "What?", tokens=50), small)
    more = duration(request(picture(), "What?", tokens=1000), small)
    pages = duration(request(*[picture()] * 8, "What?", tokens=1000), small)
    assert LEAST <= few < more < pages
    assert duration(request(picture(), "What?", tokens=1000), large) >= more
    assert duration(request(picture(), "What?", tokens=10**6), large) == MOST
