"""Models that leave, and users who do: unloading and cancelling."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.engine.fake_backend import MB
from tests.engine.managed import ANT, BEE, CAT, DOG, SOON, held, make, refused, soon
from vlm_app.engine import slots as slots_module
from vlm_app.engine.events import (
    LoadFailed,
    Unloaded,
)

__all__ = ["make"]


# --- letting go -------------------------------------------------------------------------


def test_an_idle_model_leaves_and_a_held_one_stays(make: Any) -> None:
    world = make(idle=0.2)
    ant, bee = held(world, ANT), held(world, BEE)
    bee.release()
    soon(lambda: world.of(Unloaded))
    assert world.of(Unloaded) == [Unloaded("bee", 100 * MB, "idle")] and world.status(BEE) == "unloaded"
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


# --- cancelling -------------------------------------------------------------------------


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
