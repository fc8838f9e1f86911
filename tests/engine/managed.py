"""A manager on models that are numbers, and what tests ask of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.fake_backend import MB, FakeBackend, row
from vlm_app.engine.events import (
    Broadcaster,
    Event,
)
from vlm_app.engine.manager import Lease, Manager
from vlm_app.errors import ModelUnavailable

SOON = 60.0  # seconds in which everything here has happened, also where all stands still for a while
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


def in_line(world: World, checkpoint: Any) -> Lease:
    """A request for a model that is not loaded, once it stands in the line for memory."""
    lease = world.manager.lease(checkpoint)
    soon(lambda: world.status(checkpoint) == "waiting")
    return lease


def served(*leases: Lease) -> None:
    """One after the other they get their model, and give it back."""
    for lease in leases:
        assert lease.ready(SOON)
        lease.release()


def refused(lease: Lease) -> str:
    """The sentence with which a wait ends."""
    with lease, pytest.raises(ModelUnavailable) as refusal:
        while not lease.ready(SOON):
            pass
    return str(refusal.value)
