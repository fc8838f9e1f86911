"""Several users of one model at a time, and what it keeps for their follow-ups."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.fake_backend import MB
from tests.engine.managed import ANT, BEE, SOON, World, held, make, soon
from vlm_app.engine.events import Queued, Unloaded
from vlm_app.errors import ModelUnavailable

__all__ = ["make"]


class Decoder(SimpleNamespace):
    """Stands for one that answers `room` at a time, and has kept `bytes` of a backend's memory."""

    def __init__(self, world: World, room: int = 3, bytes: int = 0) -> None:
        super().__init__(room=room, bytes=bytes, world=world, read=100, known=25)
        world.backend.taken += bytes

    def shed(self) -> int:
        freed, self.bytes = self.bytes, 0
        self.world.backend.taken -= freed
        return freed

    def close(self) -> None:
        """There is no model to let go of."""


def given(world: World, decoder: Decoder) -> None:
    """Ant, loaded, with this decoder."""
    with held(world, ANT) as lease:
        lease.model.decoder = decoder


def test_as_many_hold_a_model_as_it_can_answer_together(make: Any) -> None:
    world = make()
    given(world, Decoder(world, room=3))
    first = [held(world, ANT) for _ in range(3)]
    fourth, fifth = world.manager.lease(ANT), world.manager.lease(ANT)
    assert not fourth.ready(0.05) and not fifth.ready(0.05)
    assert [event.ahead for event in world.of(Queued)][-2:] == [1, 2]
    assert world.manager.state(ANT).holders == 5 and world.manager.state(ANT).room == 3
    first[1].release()
    assert fourth.ready(SOON) and not fifth.ready(0.05)
    for lease in (first[0], first[2], fourth):
        lease.release()
    assert fifth.ready(SOON)
    fifth.release()


def test_it_is_unloaded_after_the_last_of_them(make: Any) -> None:
    world = make()
    given(world, Decoder(world))
    leases = [held(world, ANT) for _ in range(2)]
    world.manager.unload("ant")
    leases[0].release()
    assert world.status(ANT) == "unloading"
    leases[1].release()
    soon(lambda: world.status(ANT) == "unloaded")


def test_what_is_kept_for_follow_ups_makes_room_before_a_model_does(make: Any) -> None:
    world = make(memory=250 * MB)
    given(world, Decoder(world, bytes=60 * MB))
    assert (world.manager.state(ANT).kept, world.manager.state(ANT).known) == (60 * MB, 0.25)
    world.ready(BEE)  # 100 MB, of which 90 were free
    assert {state.model: state.kept for state in world.manager.states()} == {"ant": 0, "bee": 0}


def test_what_is_kept_counts_against_a_limit(make: Any) -> None:
    world = make(memory=1000 * MB, limit=210 * MB)
    given(world, Decoder(world, bytes=60 * MB))
    with held(world, ANT) as lease:
        assert lease.model.spare() == 50 * MB
    world.ready(BEE)
    assert {state.model for state in world.manager.states()} == {"ant", "bee"}


def test_an_idle_model_is_not_sent_away_for_what_it_keeps_itself(make: Any) -> None:
    world = make(limit=150 * MB, working=30 * MB)
    given(world, Decoder(world, bytes=60 * MB))
    soon(lambda: world.manager.state(ANT).kept == 0)
    world.ready(ANT)
    assert world.backend.count("load", "ant") == 1 and world.of(Unloaded) == []


def test_what_models_can_have_is_the_same_whatever_they_keep(make: Any) -> None:
    world = make(memory=250 * MB)
    world.ready(ANT)
    assert world.manager.capacity() == 250 * MB
    given(world, Decoder(world, bytes=60 * MB))
    assert world.manager.capacity() == 250 * MB


def test_a_model_may_take_what_nothing_is_set_aside_for(make: Any) -> None:
    world = make(memory=250 * MB, working=20 * MB)
    with held(world, ANT) as lease:
        assert lease.model.spare() == 130 * MB
        with held(world, BEE):
            assert lease.model.spare() == 10 * MB


def test_who_waits_behind_all_of_them_is_told_how_many_must_end(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vlm_app.engine.manager.BUSY_SECONDS", 0.1)
    world = make()
    given(world, Decoder(world, room=2))
    leases = [held(world, ANT) for _ in range(2)]
    with (
        world.manager.lease(ANT) as third,
        pytest.raises(ModelUnavailable, match="1 request is still ahead"),
    ):
        while not third.ready(0.02):
            pass
    for lease in leases:
        lease.release()
