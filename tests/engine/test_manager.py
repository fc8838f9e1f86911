"""What users notice of which models are in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.fake_backend import MB, FakeBackend, row
from vlm_app.engine import manager as manager_module
from vlm_app.engine import slots as slots_module
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
    WaitingForMemory,
)
from vlm_app.engine.manager import Lease, Manager
from vlm_app.errors import ModelUnavailable

SOON = 5.0  # seconds in which everything here has happened
ANT, BEE, CAT, DOG = row("ant"), row("bee"), row("cat"), row("dog")
PARAMETERS = {"ant": 50 * MB, "bee": 50 * MB, "cat": 50 * MB, "dog": 100 * MB}  # 100 MB in bf16, dog 200


class World(SimpleNamespace):
    backend: FakeBackend
    manager: Manager
    heard: list[Event]

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.heard if isinstance(event, kind)]

    def status(self, checkpoint: Any) -> str:
        return self.manager.state(checkpoint).status

    def ready(self, *checkpoints: Any) -> None:
        """Load these, one after the other."""
        for checkpoint in checkpoints:
            with self.manager.lease(checkpoint) as lease:
                assert lease.ready(SOON)


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    """A world with so much memory; `limit` and `idle` (seconds) as the settings have them."""
    worlds: list[World] = []

    def world(memory: int = 250 * MB, limit: int | None = None, idle: float = 0.0, **more: Any) -> World:
        backend, events = FakeBackend(memory, dict(PARAMETERS), **more), Broadcaster()
        made = World(backend=backend, manager=Manager(backend, events, limit, idle), heard=[])
        events.subscribe(made.heard.append)
        worlds.append(made)
        return made

    yield world
    for made in worlds:
        made.backend.heal()
        made.manager.close()
        assert made.manager.leases() == {} and made.manager.states() == ()
        assert made.backend.taken == 0 and made.backend.wrongs == []


def soon(true: Callable[[], object]) -> None:
    until = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.002)


def held(world: World, checkpoint: Any, precision: str = "auto") -> Lease:
    lease = world.manager.lease(checkpoint, precision)
    assert lease.ready(SOON)
    return lease


def refused(lease: Lease) -> str:
    """The sentence with which a wait ends."""
    with lease, pytest.raises(ModelUnavailable) as refusal:
        while not lease.ready(SOON):
            pass
    return str(refusal.value)


# --- one load for all ---------------------------------------------------------------------------


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


# --- switching ----------------------------------------------------------------------------------


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


# --- a short budget -----------------------------------------------------------------------------


def test_the_least_recently_used_model_makes_room(make: Any) -> None:
    world = make()
    world.ready(ANT, BEE, ANT, CAT)
    assert world.of(Unloaded) == [Unloaded("bee", 100 * MB, "evicted")]
    assert {state.model for state in world.manager.states()} == {"ant", "cat"}


def test_a_limit_counts_even_where_more_is_free(make: Any) -> None:
    world = make(memory=1000 * MB, limit=210 * MB)
    world.ready(ANT, BEE, CAT)
    assert {state.model for state in world.manager.states()} == {"bee", "cat"}


def test_no_more_models_leave_than_must(make: Any) -> None:
    world = make(memory=350 * MB)
    world.ready(ANT, DOG)
    with held(world, BEE):  # ant makes room, dog stays
        assert {state.model for state in world.manager.states()} == {"dog", "bee"}
    world.manager.unload("bee")
    soon(lambda: world.status(BEE) == "unloaded")
    world.ready(ANT)
    world.backend.parameters["cat"] = 100 * MB
    world.ready(CAT)  # dog alone is enough, though ant was loaded before cat
    assert {state.model for state in world.manager.states()} == {"ant", "cat"}


def test_memory_that_another_program_takes_is_not_counted_on(make: Any) -> None:
    world = make(memory=250 * MB)
    world.ready(ANT)
    world.backend.elsewhere = 100 * MB
    world.ready(BEE)
    assert {state.model for state in world.manager.states()} == {"bee"}


def test_memory_set_aside_for_answers_is_not_given_away(make: Any) -> None:
    world = make(memory=250 * MB, working=40 * MB)
    with held(world, ANT):
        waiting = world.manager.lease(BEE)
        soon(lambda: world.status(BEE) == "waiting")
    assert waiting.ready(SOON)
    waiting.release()


def test_the_measured_size_replaces_the_estimate(make: Any) -> None:
    world = make(memory=250 * MB)
    world.backend.measured = 0.4
    leases = [
        held(world, checkpoint) for checkpoint in (ANT, BEE, CAT)
    ]  # three times 40 MB; cat would need 100
    for lease in leases:
        lease.release()
    assert [state.bytes for state in world.manager.states()] == [40 * MB] * 3


def test_a_model_larger_than_its_estimate_sends_idle_ones_away(make: Any) -> None:
    world = make(memory=500 * MB, limit=250 * MB)
    world.ready(ANT)
    world.backend.measured = 1.8
    with held(world, BEE):
        soon(lambda: world.status(ANT) == "unloaded")
    assert world.status(BEE) == "ready" and world.of(Unloaded) == [Unloaded("ant", 100 * MB, "evicted")]


def test_a_request_waits_for_held_memory_and_its_place_is_shown(make: Any) -> None:
    world = make()
    ant, bee = held(world, ANT), held(world, BEE)
    first = world.manager.lease(CAT)
    soon(lambda: world.status(CAT) == "waiting")
    second = world.manager.lease(DOG)
    soon(lambda: world.status(DOG) == "waiting")
    assert world.manager.state(CAT).detail == "Cat waits for 100 MB: it is next."
    assert world.manager.state(DOG).detail == "Dog waits for 200 MB: 1 before it."
    assert world.of(WaitingForMemory) == [
        WaitingForMemory("cat", 100 * MB, 0),
        WaitingForMemory("dog", 200 * MB, 1),
    ]
    ant.release()
    assert first.ready(SOON) and not second.ready(0.05)
    assert world.of(WaitingForMemory)[-1] == WaitingForMemory("dog", 200 * MB, 0)
    bee.release()
    first.release()
    assert second.ready(SOON)
    second.release()


def test_nobody_small_passes_somebody_large(make: Any) -> None:
    world = make(memory=350 * MB)
    ant, bee = held(world, ANT), held(world, BEE)
    large = world.manager.lease(DOG)  # 150 MB are free
    soon(lambda: world.status(DOG) == "waiting")
    small = world.manager.lease(CAT)
    soon(lambda: world.status(CAT) == "waiting")
    assert not small.ready(0.1)
    ant.release()
    assert large.ready(SOON)
    large.release()
    bee.release()
    assert small.ready(SOON)
    small.release()


def test_a_model_in_constant_use_makes_room_for_who_waits(make: Any) -> None:
    world = make(limit=100 * MB)
    held_ant = held(world, ANT)
    queued = world.manager.lease(ANT)  # came before: it is served first
    waiting = world.manager.lease(BEE)
    soon(lambda: world.status(BEE) == "waiting")
    late = world.manager.lease(ANT)  # came after: it lines up behind
    assert "a model that waits" in world.manager.states()[0].detail
    held_ant.release()
    assert queued.ready(SOON) and not waiting.ready(0.05)
    queued.release()
    assert waiting.ready(SOON) and not late.ready(0.05)
    soon(lambda: world.status(ANT) == "waiting")
    waiting.release()
    assert late.ready(SOON)
    late.release()
    assert world.backend.count("load", "ant") == 2


def test_a_model_that_need_not_leave_after_all_serves_its_users_at_once(make: Any) -> None:
    world = make(limit=100 * MB)
    first = held(world, ANT)
    gone = world.manager.lease(BEE)
    soon(lambda: world.status(BEE) == "waiting")
    late = world.manager.lease(ANT)
    soon(lambda: world.status(ANT) == "waiting")
    gone.release()
    soon(lambda: world.status(ANT) == "ready")
    first.release()
    assert late.ready(SOON)
    late.release()
    assert world.backend.count("load", "ant") == 1 and world.status(BEE) == "unloaded"


def test_a_model_stays_when_who_waited_for_its_memory_has_left(make: Any) -> None:
    world = make(limit=100 * MB)
    with held(world, ANT):
        waiting = world.manager.lease(BEE)
        soon(lambda: world.status(BEE) == "waiting")
        waiting.release()
    soon(lambda: world.status(BEE) == "unloaded")
    held(world, ANT).release()
    assert world.backend.count("load", "ant") == 1


def test_who_leaves_the_line_gives_the_place_to_the_next_in_it(make: Any) -> None:
    world = make(limit=100 * MB)
    first = held(world, ANT)
    gone = world.manager.lease(BEE)
    soon(lambda: world.status(BEE) == "waiting")
    second = world.manager.lease(ANT)
    soon(lambda: world.status(ANT) == "waiting")
    third = world.manager.lease(CAT)
    soon(lambda: world.status(CAT) == "waiting")
    gone.release()
    first.release()
    assert second.ready(SOON) and not third.ready(0.05)
    second.release()
    assert third.ready(SOON)
    third.release()
    assert world.backend.count("load", "ant") == 1


def test_who_waits_takes_what_becomes_free_first(make: Any) -> None:
    world = make()
    ant, bee = held(world, ANT), held(world, BEE)
    waiting = world.manager.lease(CAT)
    soon(lambda: world.status(CAT) == "waiting")
    bee.release()  # the one that was used last, but it is free now
    assert waiting.ready(SOON)
    waiting.release()
    ant.release()
    assert {state.model for state in world.manager.states()} == {"ant", "cat"}


def test_what_can_never_fit_is_refused_with_the_numbers(make: Any) -> None:
    world = make(limit=150 * MB)
    world.ready(ANT)
    sentence = refused(world.manager.lease(DOG, "bf16"))
    assert sentence == (
        "Dog needs 200 MB in bf16, and models can have 150 MB here: choose a smaller precision or a "
        "smaller model."
    )
    assert world.status(ANT) == "ready"  # nobody was sent away for it


def test_who_waits_for_memory_that_went_elsewhere_is_refused_with_the_numbers(make: Any) -> None:
    world = make(memory=250 * MB)
    first = held(world, ANT)
    hang = world.backend.hang("plan", "dog")
    lease = world.manager.lease(DOG, "bf16")
    hang.reached.wait(SOON)
    world.backend.elsewhere = 100 * MB
    hang.release()
    soon(lambda: world.status(DOG) == "waiting")
    first.release()
    assert "needs 200 MB in bf16, and models can have 150 MB here" in refused(lease)


def test_who_waits_gets_memory_that_another_program_gives_back(make: Any) -> None:
    world = make(memory=250 * MB)
    holder = held(world, ANT)
    lease = world.manager.lease(BEE)
    world.backend.elsewhere = 100 * MB
    soon(lambda: world.status(BEE) in ("waiting", "ready"))
    world.backend.elsewhere = 0
    assert lease.ready(SOON)
    lease.release()
    holder.release()


def test_waiting_for_memory_ends_with_a_sentence(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "BUSY_SECONDS", 0.2)
    world = make(limit=100 * MB)
    with held(world, ANT):
        lease = world.manager.lease(BEE)
        with pytest.raises(ModelUnavailable, match="Bee waited 0 seconds for 100 MB that other models hold"):
            while not lease.ready(0.05):
                pass
        lease.release()
        soon(lambda: world.status(BEE) == "unloaded")


def test_waiting_for_a_load_ends_with_a_sentence(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "LOAD_SECONDS", 0.2)
    world = make()
    world.backend.hang("download", "ant")
    with world.manager.lease(ANT) as lease, pytest.raises(ModelUnavailable, match="still loading after"):
        while not lease.ready(0.05):
            pass


def test_a_model_that_was_warmed_in_vain_leaves_the_line(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "BUSY_SECONDS", 0.2)
    world = make(limit=100 * MB)
    with held(world, ANT):
        world.manager.warm(BEE)
        soon(lambda: world.status(BEE) == "waiting")
        soon(lambda: world.status(BEE) == "failed")
        assert world.manager.state(BEE).detail.startswith("Bee found no memory")


# --- letting go ---------------------------------------------------------------------------------


def test_an_idle_model_leaves_and_a_held_one_stays(make: Any) -> None:
    world = make(idle=0.2)
    ant, bee = held(world, ANT), held(world, BEE)
    bee.release()
    soon(lambda: world.status(BEE) == "unloaded")
    assert world.of(Unloaded) == [Unloaded("bee", 100 * MB, "idle")]
    assert world.status(ANT) == "ready"
    ant.release()
    soon(lambda: world.status(ANT) == "unloaded")


def test_without_a_time_idle_models_stay(make: Any) -> None:
    world = make()
    world.ready(ANT)
    time.sleep(0.3)
    assert world.status(ANT) == "ready"


def test_unloading_by_hand_waits_for_who_holds_the_model(make: Any) -> None:
    world = make()
    lease = held(world, ANT)
    world.manager.unload("ant")
    state = world.manager.state(ANT)
    assert (state.status, state.holders) == ("unloading", 1)
    assert state.detail == "Ant is being unloaded when 1 answer has ended."
    late = world.manager.lease(ANT)
    assert not late.ready(0.05)
    lease.release()
    assert late.ready(SOON) and late.model is not lease._slot.model
    late.release()
    assert world.of(Unloaded) == [Unloaded("ant", 100 * MB, "asked")]
    assert world.backend.count("load", "ant") == 2


def test_one_precision_can_be_unloaded_alone(make: Any) -> None:
    world = make()
    held(world, ANT, "int8").release()
    held(world, ANT, "nf4").release()
    world.manager.unload("ant", "int8")
    soon(lambda: [state.precision for state in world.manager.states()] == ["nf4"])


def test_unloading_a_model_that_loads_lets_those_who_wait_finish(make: Any) -> None:
    world = make()
    hang = world.backend.hang("load", "ant")
    lease = world.manager.lease(ANT)
    hang.reached.wait(SOON)
    world.manager.unload("ant")
    hang.release()
    assert lease.ready(SOON)
    lease.release()
    soon(lambda: world.status(ANT) == "unloaded")


def test_unloading_a_model_that_nobody_waits_for_ends_its_load(make: Any) -> None:
    world = make()
    hang = world.backend.hang("download", "ant")
    world.manager.warm(ANT)
    hang.reached.wait(SOON)
    world.manager.unload("ant")
    soon(lambda: world.status(ANT) == "unloaded" and world.backend.taken == 0)


def test_memory_counts_as_taken_until_it_is_back(make: Any) -> None:
    world = make(limit=100 * MB)
    world.ready(ANT)
    hang = world.backend.hang("unload", "ant")
    with world.manager.lease(BEE) as lease:
        assert hang.reached.wait(SOON)
        assert not lease.ready(0.1) and world.status(BEE) == "waiting" and world.status(ANT) == "unloading"
        hang.release()
        assert lease.ready(SOON)


def test_an_unload_that_fails_wedges_nobody(make: Any) -> None:
    world = make(limit=100 * MB)
    world.ready(ANT)
    world.backend.fail("unload", "ant", RuntimeError)
    world.ready(BEE)
    world.backend.fail("unload", "bee", MemoryError)
    world.ready(ANT)
    assert world.manager.capacity() == 100 * MB


def test_an_unload_that_hangs_lets_others_find_room(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slots_module, "UNLOAD_SECONDS", 0.3)
    world = make()
    world.ready(ANT, BEE)
    hang = world.backend.hang("unload", "ant")
    again = world.manager.lease(CAT)
    assert hang.reached.wait(SOON)
    again.release()
    behind = world.manager.lease(ANT)  # cannot come before the old one is gone
    with world.manager.lease(DOG, "int8") as lease:  # bee leaves for it
        assert lease.ready(SOON)
    assert "needs 200 MB" in refused(world.manager.lease(DOG, "bf16"))
    hang.release()
    assert behind.ready(SOON)
    behind.release()


# --- cancelling ---------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["plan", "download", "load"])
def test_a_cancelled_load_ends_and_who_waits_gets_a_sentence(make: Any, step: Any) -> None:
    world = make()
    hang = world.backend.hang(step, "ant")
    leases = [world.manager.lease(ANT), world.manager.lease(ANT)]
    hang.reached.wait(SOON)
    world.manager.cancel("ant")
    for lease in leases:
        assert refused(lease) == "Loading Ant was cancelled: ask again, or choose another model."
    soon(lambda: world.status(ANT) == "unloaded")
    assert world.backend.taken == 0 and len(world.of(LoadFailed)) == 1
    world.backend.heal()
    held(world, ANT).release()


def test_who_waits_for_memory_can_be_cancelled(make: Any) -> None:
    world = make(limit=100 * MB)
    with held(world, ANT):
        lease = world.manager.lease(BEE)
        soon(lambda: world.status(BEE) == "waiting")
        world.manager.cancel("bee")
        assert "was cancelled" in refused(lease)
        assert world.status(BEE) == "unloaded"


def test_a_load_that_does_not_hear_is_unloaded_when_it_ends(make: Any) -> None:
    world = make()
    world.backend.shards = 1
    hang = world.backend.hang("load", "ant", deaf=True)
    lease = world.manager.lease(ANT)
    hang.reached.wait(SOON)
    world.manager.cancel("ant")
    assert "was cancelled" in refused(lease)
    state = world.manager.state(ANT)
    assert (state.status, state.detail) == ("unloading", "Loading Ant is being stopped.")
    again = world.manager.lease(ANT)  # waits for the end of the first: never twice in memory
    assert not again.ready(0.1)
    world.backend.heal()
    assert again.ready(SOON)
    again.release()


def test_a_ready_model_is_not_cancelled(make: Any) -> None:
    world = make()
    world.ready(ANT)
    world.manager.cancel("ant")
    assert world.status(ANT) == "ready"


def test_who_leaves_while_the_model_loads_holds_nothing(make: Any) -> None:
    world = make()
    hang = world.backend.hang("load", "ant")
    first, second = world.manager.lease(ANT), world.manager.lease(ANT)
    hang.reached.wait(SOON)
    first.release()
    first.release()
    hang.release()
    assert second.ready(SOON) and world.manager.leases() == {"ant": 1}
    second.release()


# --- what is shown ------------------------------------------------------------------------------


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


# --- closing ------------------------------------------------------------------------------------


def test_closing_unloads_everything_and_stops_every_thread(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manager_module, "CLOSE_SECONDS", 0.3)
    before = threading.active_count()
    world = make()
    world.backend.hang("download", "bee")
    holder, waiting = held(world, ANT), world.manager.lease(BEE)
    world.manager.close()
    assert "the app is closing" in refused(waiting)
    with pytest.raises(ModelUnavailable, match="The app is closing"):
        world.manager.lease(CAT)
    holder.release()
    soon(lambda: threading.active_count() == before)
    assert world.backend.taken == 0 and world.manager.states() == ()


def test_a_manager_that_is_forgotten_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from vlm_app.engine import keeper

    monkeypatch.setattr(keeper, "_REST_SECONDS", 0.1)
    before = threading.active_count()
    manager = Manager(FakeBackend(250 * MB, PARAMETERS), Broadcaster())
    with manager.lease(ANT) as lease:
        assert lease.ready(SOON)
    del manager, lease
    soon(lambda: threading.active_count() == before)


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
