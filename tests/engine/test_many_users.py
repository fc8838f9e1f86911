"""32 people use three models at once, of which two fit: nobody sees an error, and nothing grows."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.live_bytes import own_bytes
from tests.engine.tiny import picture, request, row
from tests.sizes import CROWD_ROUNDS, CROWD_SECONDS
from vlm_app.engine import Engine
from vlm_app.engine.backend import Watch
from vlm_app.engine.events import Loaded, Unloaded
from vlm_app.engine.local import LocalBackend
from vlm_app.engine.releasing import release

USERS = 32
MODELS = ("ant", "bee", "cat")
BYTES = 60_000_000  # the allocator's play: the same crowd leaves up to 25 MB more or less behind
OBJECTS = 2_000  # of Python's: one model has more, and so have a hundred answers


class User(threading.Thread):
    """Asks a model, another, the same again; sometimes goes away before the answer, or in it."""

    def __init__(self, engine: Engine, seed: int, until: float) -> None:
        super().__init__(name=f"user {seed}")
        self.engine, self.until, self.random = engine, until, random.Random(seed)
        self.asked: Counter[str] = Counter()
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while time.monotonic() < self.until:
                self.ask(self.random.choice(MODELS))
        except BaseException as problem:  # noqa: BLE001 - raised again by the test
            self.problem = problem

    def ask(self, model: str) -> None:
        patience = self.random.choice([1, 3, 10**6, 10**6])
        stream = self.engine.answer(request(picture(), "What is it?", model=model, tokens=6))
        answer = None
        for number, delta in enumerate(stream):
            answer = delta.answer or answer
            if number >= patience:
                stream.close()
                return
        assert answer is not None and answer.model == model and answer.usage.completion_tokens == 6
        self.asked[model] += 1


def crowd(engine: Engine, seconds: float) -> Counter[str]:
    """The answers that a crowd got in so many seconds."""
    users = [User(engine, seed, time.monotonic() + seconds) for seed in range(USERS)]
    for user in users:
        user.start()
    for user in users:
        user.join(150)
    for user in users:
        assert not user.is_alive(), f"{user.name} still waits: {[each.detail for each in engine.models()]}"
        if user.problem:
            raise user.problem
    return sum((user.asked for user in users), Counter())


def quiet(engine: Engine) -> tuple[int, int]:
    """Unload everything; the bytes of this process and the objects in it that are left."""
    for model in MODELS:
        engine.unload(model)
    until = time.monotonic() + 10
    while engine.models():
        assert time.monotonic() < until, engine.models()
        time.sleep(0.01)
    release()
    return own_bytes(), len(gc.get_objects())


@pytest.mark.timeout(600)
def test_32_users_of_three_models_where_two_fit(folder: Path) -> None:
    rows = {id: replace(row(folder), id=id, name=id.capitalize()) for id in MODELS}
    one = LocalBackend().plan(rows["ant"], "auto", 10**12, Watch())
    limit = int(2.5 * one.bytes)
    engine = Engine(rows, LocalBackend(), limit)
    reserved, loads, unloads = [], [], []
    engine.subscribe(lambda event: loads.append(event) if isinstance(event, Loaded) else None)
    engine.subscribe(lambda event: unloads.append(event) if isinstance(event, Unloaded) else None)
    engine.subscribe(lambda event: reserved.append(len([each for each in engine.models() if each.bytes])))
    threads, answers, left = threading.active_count(), Counter[str](), []
    for _ in range(CROWD_ROUNDS):
        answers += crowd(engine, CROWD_SECONDS / CROWD_ROUNDS)
        left.append(quiet(engine))
    engine.close()
    assert engine.leases == {} and engine.models() == ()
    assert set(answers) == set(MODELS)
    assert len(loads) == len(unloads) > 3 and max(reserved) <= 2
    assert threading.active_count() <= threads
    (bytes, objects), (bytes_then, objects_then) = left[-1], left[CROWD_ROUNDS // 2 - 1]
    assert bytes - bytes_then <= BYTES and objects - objects_then <= OBJECTS, left
