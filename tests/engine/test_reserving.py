"""What users notice of a training that takes memory beside the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engine.fake_backend import MB, FakeBackend
from tests.engine.managed import ANT, BEE, DOG, PARAMETERS, SOON, held, soon
from vlm_app.engine import manager as manager_module
from vlm_app.engine.events import Broadcaster
from vlm_app.engine.manager import Manager
from vlm_app.errors import ModelUnavailable
from vlm_app.ui import machine


class World:
    def __init__(self, memory: int, limit: int | None) -> None:
        self.backend = FakeBackend(memory, dict(PARAMETERS))
        self.manager = Manager(self.backend, Broadcaster(), limit)

    def names(self) -> dict[str, str]:
        return {state.name: state.status for state in self.manager.states()}


@pytest.fixture
def make() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def world(memory: int = 250 * MB, limit: int | None = None) -> World:
        worlds.append(World(memory, limit))
        return worlds[-1]

    yield world
    for made in worlds:
        made.manager.close()
        assert made.manager.states() == () and made.backend.taken == 0 and made.backend.wrongs == []


def test_an_idle_model_leaves_for_a_training(make: Any) -> None:
    world = make()
    held(world, ANT).release()
    held(world, BEE).release()
    with world.manager.reserve(120 * MB, "Hearts") as reservation:
        assert reservation.ready(SOON)
        assert world.names() == {"Bee": "ready", "training: Hearts": "ready"}  # the last used one stays
        assert reservation.sentence == "Training: Hearts has 120 MB."
    assert world.names() == {"Bee": "ready"}


def test_a_training_waits_for_an_answer_and_says_so(make: Any) -> None:
    world = make()
    answering = held(world, DOG)
    with world.manager.reserve(100 * MB, "Hearts") as reservation:
        assert not reservation.ready(0.1)
        soon(lambda: reservation.sentence == "Training: Hearts waits for 100 MB: it is next.")
        assert world.names()["training: Hearts"] == "waiting"
        answering.release()
        assert reservation.ready(SOON)


def test_chat_beside_a_training_stays_where_there_is_room_for_both(make: Any) -> None:
    world = make()
    with world.manager.reserve(100 * MB, "Hearts") as reservation:
        assert reservation.ready(SOON)
        held(world, ANT).release()
        reservation.uses(90 * MB)
        world.backend.elsewhere = 90 * MB
        held(world, ANT).release()
        assert world.names() == {"Ant": "ready", "training: Hearts": "ready"}


def test_chat_waits_for_a_training_and_nothing_is_sent_away_in_vain(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make()
    held(world, ANT).release()
    with world.manager.reserve(100 * MB, "Hearts") as reservation:
        assert reservation.ready(SOON)
        with world.manager.lease(DOG) as lease:
            assert not lease.ready(0.2)
            assert world.names() == {"Ant": "ready", "training: Hearts": "ready", "Dog": "waiting"}
            reservation.release()
            assert lease.ready(SOON)
    monkeypatch.setattr(manager_module, "BUSY_SECONDS", 0.05)
    with world.manager.reserve(200 * MB, "Hearts") as reservation:
        assert reservation.ready(SOON)
        with (
            world.manager.lease(ANT) as lease,
            pytest.raises(ModelUnavailable, match=r"for 100 MB that training: Hearts holds: .* Fine-tune"),
        ):
            while not lease.ready(0.05):
                pass


def test_what_can_never_be_had_is_refused_with_the_numbers(make: Any) -> None:
    world = make(limit=200 * MB)
    with pytest.raises(ModelUnavailable, match=r"training: Hearts needs 300 MB in nf4, .* 200 MB here"):
        world.manager.reserve(300 * MB, "Hearts", "nf4")
    assert world.names() == {}


def test_a_training_that_goes_on_since_before_waits_for_nobody(make: Any) -> None:
    world = make()
    world.backend.elsewhere = 200 * MB  # of the training
    with world.manager.reserve(220 * MB, "Hearts", taken=200 * MB) as reservation:
        assert reservation.ready(0) and world.names() == {"training: Hearts": "ready"}
        assert world.manager.capacity() == 250 * MB
        with world.manager.lease(ANT) as lease:
            assert not lease.ready(0.2)
            world.backend.elsewhere = 0
            reservation.release()
            assert lease.ready(SOON)


def test_a_place_in_the_line_can_be_given_up(make: Any) -> None:
    world = make()
    answering = held(world, DOG)
    reservation = world.manager.reserve(100 * MB, "Hearts")
    reservation.release()
    reservation.release()
    assert world.names() == {"Dog": "ready"}
    answering.release()


def test_the_app_closes_while_a_training_goes_on(make: Any) -> None:
    world = make()
    reservation = world.manager.reserve(100 * MB, "Hearts")
    assert reservation.ready(SOON)
    world.manager.close()
    assert world.names() == {}
    reservation.release()
    with pytest.raises(ModelUnavailable):
        reservation.ready(0)
    with pytest.raises(ModelUnavailable, match="closing"):
        world.manager.reserve(MB, "Stars")


def test_the_page_of_models_shows_it_without_a_button_that_ends_it(make: Any) -> None:
    world = make()
    with world.manager.reserve(100 * MB, "<Hearts>") as reservation:
        assert reservation.ready(SOON)
        html = machine.loaded(world.manager.states(), 0.0, {})
        assert "training: &lt;Hearts&gt;" in html and "has 100 MB" in html and "<button" not in html
