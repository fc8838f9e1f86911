"""Threads that run models share the cores; those that prepare what models read have one each."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import torch

from tests.engine.tiny import picture, request, speak
from vlm_app.engine import Engine, LoadedModel, cores

ALL = 6


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with six cores; the threads of other tests begin with as many as before."""
    before = torch.get_num_threads()
    monkeypatch.setattr(cores, "_all", ALL)
    monkeypatch.setattr(cores._others, "left", lambda: ALL)
    yield
    torch.set_num_threads(before)


def elsewhere(work: Callable[[], int]) -> int:
    """In a thread of its own: each has its own number."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def share() -> int:
    with cores.shared():
        return torch.get_num_threads()


@contextmanager
def running(pool: ThreadPoolExecutor) -> Iterator[None]:
    """Another model runs meanwhile."""
    begun, end = threading.Event(), threading.Event()

    def run() -> None:
        with cores.shared():
            begun.set()
            assert end.wait(60)

    other = pool.submit(run)
    assert begun.wait(60)
    yield
    end.set()
    other.result(10)


def test_a_model_that_runs_alone_has_all_cores() -> None:
    assert elsewhere(share) == ALL


def test_models_that_run_at_once_share_them() -> None:
    def first() -> int:
        with cores.shared():
            assert torch.get_num_threads() == ALL and elsewhere(share) == ALL // 2
            cores.share()
            assert torch.get_num_threads() == ALL
            with ThreadPoolExecutor(1) as pool, running(pool):
                cores.share()
                return torch.get_num_threads()

    assert elsewhere(first) == ALL // 2


class Clock:
    """A machine whose other programs use so many cores; this one always uses two."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.own = 100.0
        self.others = 5000.0
        monkeypatch.setattr(cores.psutil, "cpu_count", lambda: ALL)
        monkeypatch.setattr(cores, "_busy", lambda: self.own + self.others)
        monkeypatch.setattr(cores.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(cores.time, "process_time", lambda: self.own)

    def passes(self, seconds: float, used: float) -> None:
        self.now += seconds
        self.own += 2 * seconds
        self.others += used * seconds


@pytest.mark.parametrize(("used", "expected"), [(0.0, 6), (0.3, 6), (0.4, 5), (2.0, 4), (3.5, 2), (9.0, 1)])
def test_cores_that_other_programs_use_are_left_to_them(
    monkeypatch: pytest.MonkeyPatch, used: float, expected: int
) -> None:
    monkeypatch.setattr(cores, "_others", cores._Others())
    clock = Clock(monkeypatch)
    assert elsewhere(share) == ALL, "nothing is known yet"
    clock.passes(10.0, used)
    assert elsewhere(share) == expected
    clock.passes(cores.LOOK / 2, ALL)
    assert elsewhere(share) == expected, "it does not look at every step"
    clock.passes(10.0, 0.0)
    assert elsewhere(share) == ALL


@pytest.mark.parametrize(("allowed", "expected"), [(math.inf, ALL), (2.5, 2), (0.5, 1)])
def test_a_container_has_the_cores_it_is_given(
    monkeypatch: pytest.MonkeyPatch, allowed: float, expected: int
) -> None:
    monkeypatch.setattr(cores, "_all", 0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: ALL)
    monkeypatch.setattr(cores, "cores_allowed", lambda: allowed)
    assert cores.most() == expected


def test_every_model_has_a_core_however_many_there_are() -> None:
    def deeper(models: int) -> int:
        with cores.shared():
            return deeper(models - 1) if models else torch.get_num_threads()

    assert elsewhere(lambda: deeper(ALL + 2)) == 1


def test_a_thread_keeps_its_number_whatever_others_take() -> None:
    def prepare() -> int:
        cores.one()
        assert elsewhere(share) == ALL
        torch.ones(400, 400).sum()
        return torch.get_num_threads()

    assert elsewhere(prepare) == 1


def test_a_thread_that_says_nothing_begins_with_one() -> None:
    def other() -> int:
        with cores.shared():
            return elsewhere(torch.get_num_threads)

    assert elsewhere(other) == 1


def test_work_apart_has_all_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    assert cores.apart(torch.get_num_threads) == ALL
    assert before.issuperset(threading.enumerate())


def test_a_process_can_do_with_one() -> None:
    def single() -> int:
        cores.single()
        return elsewhere(share)

    assert elsewhere(single) == 1


def test_who_asks_a_model_has_one_core_and_the_model_has_all(engine: Engine, loaded: LoadedModel) -> None:
    seen: set[int] = set()

    def ask() -> int:
        for _ in engine.answer(request(picture(), "Where?", tokens=4)):
            pass
        return torch.get_num_threads()

    with loaded.model.register_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads())):
        assert elsewhere(ask) == 1
    assert seen == {ALL}


def test_so_has_a_model_that_answers_one_after_the_other(
    engine: Engine, loaded: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loaded, "decoder", None)
    seen: list[int] = []

    def look(*_: Any) -> None:
        seen.append(torch.get_num_threads())
        if len(seen) == 1:
            others.enter_context(running(pool))

    with (
        ThreadPoolExecutor(1) as pool,
        ExitStack() as others,
        loaded.model.register_forward_pre_hook(look),
        speak(loaded, " one two three four"),
    ):
        for _ in engine.answer(request(picture(), "Where?", tokens=4)):
            pass
    assert seen[0] == ALL and set(seen[1:]) == {ALL // 2}
