"""Threads that run models share the cores; those that prepare what models read have one each."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.engine.tiny import picture, request
from vlm_app.engine import Engine, LoadedModel, cores

ALL = 6


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with six cores; the threads of other tests begin with as many as before."""
    before = torch.get_num_threads()
    monkeypatch.setattr(cores, "_all", ALL)
    yield
    torch.set_num_threads(before)


def elsewhere(work: Callable[[], int]) -> int:
    """In a thread of its own: each has its own number."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result()


def share() -> int:
    with cores.shared():
        return torch.get_num_threads()


def test_a_model_that_runs_alone_has_all_cores() -> None:
    assert elsewhere(share) == ALL


def test_models_that_run_at_once_share_them() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def first() -> int:
        with cores.shared():
            begun.set()
            assert go_on.wait(10)
            cores.share()
            return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(first)
        assert begun.wait(10)
        with cores.shared():
            assert torch.get_num_threads() == ALL // 2
            go_on.set()
            assert running.result(10) == ALL // 2
        assert elsewhere(share) == ALL


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
    seen: set[int] = set()
    with loaded.model.register_forward_pre_hook(lambda *_: seen.add(torch.get_num_threads())):
        for _ in engine.answer(request(picture(), "Where?", tokens=4)):
            pass
    assert seen == {ALL}
