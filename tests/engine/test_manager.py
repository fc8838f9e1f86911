"""What users notice of which models are in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.fake_backend import MB, FakeBackend
from tests.engine.managed import ANT, BEE, CAT, PARAMETERS, SOON, World, held, make, refused, soon
from vlm_app.engine import manager as manager_module
from vlm_app.engine.events import (
    Answering,
    Broadcaster,
    Event,
    Loaded,
    LoadFailed,
    Loading,
    LoadProgress,
    Queued,
    Unloaded,
)
from vlm_app.engine.manager import Manager
from vlm_app.errors import ModelUnavailable

__all__ = ["make"]


# --- one load for all -------------------------------------------------------------------


def test_who_asks_for_a_model_that_loads_waits_for_that_load(make: Any) -> None:
    world = make()
    hang = world.backend.hang("load", "ant")
    first, second = world.manager.lease(ANT), world.manager.lease(ANT)
    hang.reached.wait(SOON)
    third = world.manager.lease(ANT, "bf16")
    assert not second.ready(0.01)
    hang.release()
    for lease in (first, second, third):
        assert lease.ready(SOON) and lease.model is first.model
        if lease is not first:
            lease.release()
        else:
            model = lease.model
            assert not second.ready(0.01)
            first.release()
    assert model.precision == "bf16" and world.backend.count("load", "ant") == 1
    assert world.of(Queued)[0] == Queued("ant", 1)


def test_auto_and_the_precision_that_it_stands_for_are_one_model(make: Any) -> None:
    world = make()
    hang = world.backend.hang("plan", "ant")
    leases = [world.manager.lease(ANT, precision) for precision in ("auto", "bf16", "auto", "int8")]
    hang.release()
    for lease in leases:
        assert lease.ready(SOON)
        lease.release()
    assert world.backend.count("load", "ant") == 2  # bf16 and int8
    assert sorted(state.precision for state in world.manager.states()) == ["bf16", "int8"]
    assert len(world.of(Loading)) == len(world.of(Loaded)) == 2


def test_auto_finds_the_same_model_again_without_a_plan(make: Any) -> None:
    world = make()
    for precision in ("bf16", "auto", "auto"):
        held(world, ANT, precision).release()
    assert world.backend.count("load", "ant") == 1 and world.backend.count("plan", "ant") == 2


def test_auto_is_the_best_precision_that_fits(make: Any) -> None:
    world = make(limit=60 * MB)
    with held(world, ANT) as lease:
        assert lease.model.precision == "int8"
        assert world.manager.state(ANT).bytes == 50 * MB


def test_a_failed_load_says_why_and_is_tried_again_by_the_next_request(make: Any) -> None:
    world = make()
    world.backend.fail("load", "ant")
    assert refused(world.manager.lease(ANT)) == "ant is broken: choose another model."
    state = world.manager.state(ANT)
    assert (state.status, state.detail) == ("failed", "ant is broken: choose another model.")
    assert world.of(LoadFailed) == [LoadFailed("ant", state.detail)]
    held(world, ANT).release()
    assert world.status(ANT) == "ready" and len(world.manager.states()) == 1


def test_what_failed_before_it_had_a_precision_is_dropped_alone(make: Any) -> None:
    world = make()
    world.ready(ANT)
    world.backend.fail("plan", "ant")
    refused(world.manager.lease(ANT, "nf4"))
    assert sorted(each.status for each in world.manager.states()) == ["failed", "ready"]
    world.manager.unload("ant", "")
    assert [each.status for each in world.manager.states()] == ["ready"]


@pytest.mark.parametrize("step", ["plan", "download", "load"])
def test_a_fault_inside_ends_every_wait_with_a_sentence(make: Any, step: Any) -> None:
    world = make()
    hang = world.backend.hang(step, "ant")
    world.backend.fail(step, "ant", MemoryError)
    leases = [world.manager.lease(ANT) for _ in range(3)]
    hang.release()
    for lease in leases:
        sentence = refused(lease)
        assert sentence == "Ant could not be loaded by a fault in the app; choose another model."


# --- switching --------------------------------------------------------------------------


def test_switching_between_loaded_models_takes_less_than_50_ms(make: Any) -> None:
    world = make(idle=60)
    world.ready(ANT, BEE)
    spent = []
    for checkpoint in (ANT, BEE) * 20:
        begun = time.perf_counter()
        with world.manager.lease(checkpoint) as lease:
            assert lease.ready(SOON)
            spent.append(time.perf_counter() - begun)
    assert sorted(spent)[len(spent) // 2] < 0.05 and world.backend.count("load", "ant") == 1


def test_a_warmed_model_is_ready_when_it_is_asked(make: Any) -> None:
    world = make()
    world.manager.warm(ANT)
    soon(lambda: world.status(ANT) == "ready")
    with world.manager.lease(ANT) as lease:
        assert lease.ready(0)


# --- what is shown ----------------------------------------------------------------------


def test_progress_is_shown_and_told_a_few_times_a_second(make: Any) -> None:
    world = make(shards=400, pause=0.0)
    world.backend.parameters["ant"] = 4000
    hang = world.backend.hang("load", "ant")
    with world.manager.lease(ANT) as lease:
        hang.reached.wait(SOON)
        state = world.manager.state(ANT)
        assert state.status == "loading" and state.progress is not None and state.progress.share == 1.0
        assert state.detail == "Ant is loading: 100 %."
        hang.release()
        assert lease.ready(SOON)
    told = world.of(LoadProgress)
    assert {event.progress.stage for event in told} >= {"downloading", "loading"} and len(told) < 20


def test_a_ready_model_says_what_it_is(make: Any) -> None:
    world = make()
    with held(world, ANT) as lease:
        lease.model.warm.append("mine")
        state = world.manager.state(ANT)
    assert (state.status, state.model, state.name) == ("ready", "ant", "Ant")
    assert (state.precision, state.device, state.bytes) == ("bf16", "cpu", 100 * MB)
    assert (state.holders, state.adapters, state.detail) == (1, ("mine",), "Ant is ready.")
    assert time.monotonic() - state.used < SOON


def test_capacity_is_what_could_be_had_by_unloading_all(make: Any) -> None:
    world = make(memory=250 * MB)
    assert world.manager.capacity() == 250 * MB
    with held(world, ANT):
        assert world.manager.capacity() == 250 * MB
        hang = world.backend.hang("load", "bee")
        world.manager.warm(BEE)
        hang.reached.wait(SOON)
        assert world.manager.capacity() == 250 * MB
        hang.release()
    assert make(memory=250 * MB, limit=90 * MB).manager.capacity() == 90 * MB


def test_events_come_in_order_and_outside_the_lock(make: Any) -> None:
    world = make()
    inside: list[bool] = []
    world.manager._models._events.subscribe(lambda event: inside.append(bool(world.manager.states())))
    world.ready(ANT)
    world.manager.unload("ant")
    soon(lambda: world.of(Unloaded))
    kinds = [type(event) for event in world.heard if not isinstance(event, LoadProgress)]
    assert kinds == [Loading, Loaded, Answering, Unloaded] and inside


def test_a_listener_that_fails_or_asks_back_disturbs_nobody(make: Any) -> None:
    world = make()

    def nosy(event: Event) -> None:
        world.manager.warm(BEE)
        world.manager.state(ANT)
        raise ValueError("nosy")

    leave = world.manager._models._events.subscribe(nosy)
    world.ready(ANT)
    soon(lambda: world.status(BEE) == "ready")
    leave()


def test_memory_that_cannot_be_measured_now_is_measured_later(make: Any) -> None:
    world = make()
    hang = world.backend.hang("plan", "ant")
    with world.manager.lease(ANT) as lease:
        assert hang.reached.wait(SOON)
        world.backend.fail("free", kind=OSError)
        hang.release()
        assert lease.ready(SOON)


# --- closing ----------------------------------------------------------------------------


def test_closing_unloads_everything_and_stops_every_thread(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager_module, "CLOSE_SECONDS", 0.3)
    before = set(threading.enumerate())
    world = make()
    world.backend.hang("download", "bee")
    holder, waiting = held(world, ANT), world.manager.lease(BEE)
    world.manager.close()
    assert "the app is closing" in refused(waiting)
    with pytest.raises(ModelUnavailable, match="The app is closing"):
        world.manager.lease(CAT)
    holder.release()
    soon(lambda: before.issuperset(threading.enumerate()))
    assert world.backend.taken == 0 and world.manager.states() == ()


def test_a_manager_that_is_forgotten_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from vlm_app.engine import keeper

    monkeypatch.setattr(keeper, "_REST_SECONDS", 0.1)
    before = set(threading.enumerate())
    manager = Manager(FakeBackend(250 * MB, PARAMETERS), Broadcaster())
    with manager.lease(ANT) as lease:
        assert lease.ready(SOON)
    del manager, lease
    soon(lambda: before.issuperset(threading.enumerate()))


def test_who_comes_while_the_computer_has_no_thread_left_is_not_lost(
    make: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, start = make(), threading.Thread.start

    def no_keeper(thread: threading.Thread) -> None:
        if thread.name == "models":
            raise RuntimeError("can't start new thread")
        start(thread)

    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_keeper)
        first = world.manager.lease(ANT)
        assert not first.ready(0.1)
    with world.manager.lease(ANT) as second:
        assert first.ready(SOON)
        first.release()
        assert second.ready(SOON)
