"""A few steps that are measured before a run: what they say of all of it, and that nothing stays."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.app import STUB
from tests.finetune.desk import ME, Desk, desk
from tests.finetune.runs import MB, example
from tests.finetune.test_child import soon
from vlm_app.engine import Reservation
from vlm_app.errors import BadInput, ModelUnavailable, NotFound
from vlm_app.finetune import trial as trial_module
from vlm_app.finetune.events import Evaluated, Event, Sampled, State, Stepped
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.trial import Sizes, Trial, _measured, _whole, trial
from vlm_app.store.images import ImageFolder

__all__ = ["desk"]
TRIALS = ".trial-*"


def never() -> bool:
    return False


def stepped(step: int, at: float) -> Stepped:
    return Stepped(step=step, at=at, epoch=0, loss=1, rate=0, memory=step * MB, examples_per_second=1)


def told() -> list[Event]:
    """Ten seconds of loading, two a step at first and one when pictures are known, a second an answer."""
    steps = [stepped(step, 20 + 2.0 * min(step, 3) + 1.0 * max(0, step - 3)) for step in range(1, 7)]
    end = steps[-1].at
    samples: list[Event] = [Sampled(step=6, example=n, text="", at=end + 1 + (n + 1)) for n in range(3)]
    first: list[Event] = [Evaluated(step=0, at=10.0), Sampled(step=0, example=0, text="", at=11.0)]
    return [*first, *steps, Evaluated(step=6, at=end + 1.0), *samples]


def test_the_whole_run_is_reckoned_from_new_and_known_pictures_evaluations_and_scoring() -> None:
    config = RunConfig(epochs=3, batch=4, evaluate_every=20)
    measured = _measured(told(), 4, 12)
    assert measured == ([2.0, 2.0], [1.0, 1.0, 1.0])
    found = _whole(config, Sizes(train=80, held_out=20), told(), 0.0, measured)
    training = 20 * 2.0 + 40 * 1.0
    evaluations = 4 * (20 * 0.25 + 3 * 1.0)  # at the start, and after 20, 40 and 60 steps
    assert found.steps == 60 and found.bytes == 6 * MB
    assert found.seconds == pytest.approx(10 + training + evaluations + 2 * 20 * 1.0)
    assert found.seconds_per_step == pytest.approx(80 / 60)
    assert found.sentence == "60 steps of 1.3 s: about 3 min with evaluations and scoring, in 6 MB."


def test_scoring_asks_no_more_than_it_does() -> None:
    found = _whole(RunConfig(steps=1), Sizes(10, 100_000), [stepped(1, 1.0)], 0.0, ([1.0], [1.0]))
    assert found.seconds == pytest.approx(1.0 + 1.0)


def test_of_two_examples_a_step_sees_some_twice() -> None:
    fresh, again = _measured([stepped(step, float(step)) for step in range(1, 7)], 4, 2)
    assert fresh == again and len(again) == 5


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Callable[..., Trial]]:
    """Measures with the tests' trainer, on pictures of its own; leaves nothing."""
    examples, images = [example(number) for number in range(6)], ImageFolder(tmp_path / "images")
    for one in examples:
        images.write(one.pictures[0])
    root = tmp_path / "runs"

    def measure(stopped: Callable[[], bool] = never, seconds: float = 60.0, **settings: Any) -> Trial:
        config = RunConfig.model_validate(settings)
        try:
            return trial(root, config, (examples[:4], examples[4:]), images, stopped, seconds, STUB)
        finally:
            assert not list(root.iterdir()), "its folder vanishes"

    yield measure


def test_it_is_a_few_steps_and_nothing_of_them_stays(bench: Callable[..., Trial]) -> None:
    found = bench(epochs=10, batch=1)
    assert found.steps == 40 and 0.01 < found.seconds_per_step < 5 and found.bytes == 1_000_000


def test_it_can_be_ended(bench: Callable[..., Trial], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEP_SECONDS", "1000")
    begun = time.monotonic()
    with pytest.raises(ModelUnavailable, match="was ended before it had measured anything"):
        bench(lambda: time.monotonic() > begun + 0.5)
    with pytest.raises(ModelUnavailable, match="Not one step was done in 1 s"):
        bench(seconds=1.0)


def test_what_cannot_be_trained_is_said(bench: Callable[..., Trial]) -> None:
    with pytest.raises(ModelUnavailable, match="The moon is full: wait a day"):
        bench(name="Refused")


# --- beside the line of runs ------------------------------------------------------------------


def test_a_trial_waits_for_no_run_and_no_busy_model(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlm_app.finetune.plans._MEMORY_SECONDS", 0.5)
    leases = [desk.engine._manager.lease(desk.engine._rows[id]) for id in ("ant", "bee")]
    for lease in leases:
        assert lease.ready(30)
    with pytest.raises(ModelUnavailable, match="a trial of Hearts waits for 100 MB: it is next; end"):
        desk.runs.plans.trial(ME, RunConfig(name="Hearts"), desk.dataset)
    for lease in leases:
        lease.release()
    run = desk.start(steps=100_000)
    soon(lambda: desk.state(run) is State.TRAINING)
    with pytest.raises(ModelUnavailable, match="A run trains here now"):
        desk.runs.plans.trial(ME, RunConfig(), desk.dataset)
    with pytest.raises(NotFound):
        desk.runs.plans.trial("you", RunConfig(), desk.dataset)
    empty = desk.examples.create(ME, "Nothing").id
    with pytest.raises(BadInput, match="'Nothing' has no examples"):
        desk.runs.plans.trial(ME, RunConfig(), empty)
    desk.runs.delete(ME, run.id, State.TRAINING)


def test_a_real_trial_measures_pebble_and_leaves_the_line_alone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    reserve = desk.engine.reserve

    def reserved(bytes: int, name: str) -> Reservation:
        names.append(name)
        return reserve(bytes, name)

    monkeypatch.setattr(desk.engine, "reserve", reserved)
    found = desk.runs.plans.trial(ME, RunConfig(name="Hearts", epochs=30, batch=2), desk.dataset, seconds=240)
    assert found.steps >= 100 and found.seconds > found.steps * found.seconds_per_step > 0
    assert found.bytes > 100_000_000 and "with evaluations and scoring" in found.sentence
    assert names == ["a trial of Hearts"] and desk.engine.models() == ()
    assert desk.runs.runs(ME) == () and not list((desk.store.data / "runs").glob(TRIALS))


def test_an_orphan_ends_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def train(folder: object, tell: object, stopped: Callable[[], bool]) -> None:
        asked.append(stopped())
        monkeypatch.setattr(trial_module.os, "getppid", lambda: 1)
        asked.append(stopped())

    monkeypatch.setattr("vlm_app.finetune.training.train", train)
    monkeypatch.setattr("vlm_app.finetune.child.main", lambda path, work: work(path, None, never))
    trial_module.main(tmp_path)
    assert asked == [False, True]
