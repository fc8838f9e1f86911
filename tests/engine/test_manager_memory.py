"""Many want models and memory is short: who makes room, who waits, who is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine.fake_backend import MB
from tests.engine.managed import ANT, BEE, CAT, DOG, SOON, held, in_line, make, refused, served, soon
from vlm_app.engine import manager as manager_module
from vlm_app.engine.events import (
    Unloaded,
    WaitingForMemory,
)
from vlm_app.errors import ModelUnavailable

__all__ = ["make"]


# --- a short budget ---------------------------------------------------------------------


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
        waiting = in_line(world, BEE)
    served(waiting)


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
    first = in_line(world, CAT)
    second = in_line(world, DOG)
    assert world.manager.state(CAT).detail == "Cat waits for 100 MB: it is next."
    assert world.manager.state(DOG).detail == "Dog waits for 200 MB: 1 before it."
    soon(lambda: len(world.of(WaitingForMemory)) == 2)
    assert world.of(WaitingForMemory) == [
        WaitingForMemory("cat", 100 * MB, 0),
        WaitingForMemory("dog", 200 * MB, 1),
    ]
    ant.release()
    assert first.ready(SOON) and not second.ready(0.05)
    assert world.of(WaitingForMemory)[-1] == WaitingForMemory("dog", 200 * MB, 0)
    bee.release()
    first.release()
    served(second)


def test_nobody_small_passes_somebody_large(make: Any) -> None:
    world = make(memory=350 * MB)
    ant, bee = held(world, ANT), held(world, BEE)
    large = in_line(world, DOG)  # 150 MB are free
    small = in_line(world, CAT)
    assert not small.ready(0.1)
    ant.release()
    served(large)
    bee.release()
    served(small)


def test_a_model_in_constant_use_makes_room_for_who_waits(make: Any) -> None:
    world = make(limit=100 * MB)
    held_ant = held(world, ANT)
    queued = world.manager.lease(ANT)  # came before: it is served first
    waiting = in_line(world, BEE)
    late = world.manager.lease(ANT)  # came after: it lines up behind
    assert "a model that waits" in world.manager.states()[0].detail
    held_ant.release()
    assert queued.ready(SOON) and not waiting.ready(0.05)
    queued.release()
    assert waiting.ready(SOON) and not late.ready(0.05)
    soon(lambda: world.status(ANT) == "waiting")
    waiting.release()
    served(late)
    assert world.backend.count("load", "ant") == 2


def test_a_model_that_need_not_leave_after_all_serves_its_users_at_once(make: Any) -> None:
    world = make(limit=100 * MB)
    first = held(world, ANT)
    gone = in_line(world, BEE)
    late = in_line(world, ANT)
    gone.release()
    soon(lambda: world.status(ANT) == "ready")
    first.release()
    served(late)
    assert world.backend.count("load", "ant") == 1 and world.status(BEE) == "unloaded"


def test_a_model_stays_when_who_waited_for_its_memory_has_left(make: Any) -> None:
    world = make(limit=100 * MB)
    with held(world, ANT):
        waiting = in_line(world, BEE)
        waiting.release()
    soon(lambda: world.status(BEE) == "unloaded")
    held(world, ANT).release()
    assert world.backend.count("load", "ant") == 1


def test_who_leaves_the_line_gives_the_place_to_the_next_in_it(make: Any) -> None:
    world = make(limit=100 * MB)
    first = held(world, ANT)
    gone = in_line(world, BEE)
    second = in_line(world, ANT)
    third = in_line(world, CAT)
    gone.release()
    first.release()
    assert second.ready(SOON) and not third.ready(0.05)
    second.release()
    served(third)
    assert world.backend.count("load", "ant") == 1


def test_who_waits_takes_what_becomes_free_first(make: Any) -> None:
    world = make()
    ant, bee = held(world, ANT), held(world, BEE)
    waiting = in_line(world, CAT)
    bee.release()  # the one that was used last, but it is free now
    served(waiting)
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
    world.backend.elsewhere = 100 * MB
    lease = in_line(world, BEE)
    world.backend.elsewhere = 0
    served(lease)
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
    monkeypatch.setattr(manager_module, "BUSY_SECONDS", 1.0)
    world = make(limit=100 * MB)
    with held(world, ANT):
        world.manager.warm(BEE)
        soon(lambda: world.status(BEE) == "failed")
        assert world.of(WaitingForMemory) == [WaitingForMemory("bee", 100 * MB, 0)]
        assert world.manager.state(BEE).detail.startswith("Bee found no memory")
