"""The whole way with the real trainer on Pebble: taught in a process of its own, scored, kept, and asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from tests.finetune.desk import ME, Bench
from tests.finetune.runs import example
from tests.sizes import KILLED_IN_SCORING
from vlm_app.catalog import catalog
from vlm_app.cli import main
from vlm_app.engine import Engine, LocalBackend
from vlm_app.finetune.events import Answered, Evaluated, Event, Sampled, Saved, State, Stepped
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.processes import ACTIVE, CHILD, end
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Run
from vlm_app.media import picture_from
from vlm_app.settings import settings
from vlm_app.types import Request, Role, Sampling, Turn

LONG = 120.0  # seconds: a process that imports torch, on two cores that others use as well
TAUGHT = {"rank": 8, "rate": 2e-2, "warmup": 0.0, "batch": 4, "precision": "fp32"}


def mosaic(number: int) -> Example:
    """Coloured squares, each picture with its own, in which a red circle is to be seen."""
    squares = np.random.default_rng(number).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    picture = picture_from(Image.fromarray(squares).resize((96, 96), Image.Resampling.NEAREST))
    return replace(example(number), pictures=(picture,))


def soon(true: Callable[[], object]) -> None:
    until = time.monotonic() + LONG
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


class Desk(Bench):
    """Pebble, a dataset of 24 examples, and runs of the app's own trainer."""

    def __init__(self) -> None:
        self.taught = [mosaic(number) for number in range(24)]
        super().__init__(settings().data, Engine(catalog(), LocalBackend()), CHILD, self.taught)

    def now(self, run: Run) -> Run:
        return self.runs.run(ME, run.id)

    def told(self, run: Run, kind: type[Event]) -> list[Event]:
        return [event for event in run.folder.events()[0] if isinstance(event, kind)]

    def ended(self, run: Run) -> Run:
        soon(lambda: self.now(run).state not in (State.QUEUED, *ACTIVE))
        return self.now(run)

    def asked(self, one: Example, adapter: str | None) -> Reply:
        """What the engine answers to an example."""
        request = Request(
            (Turn(Role.USER, one.pictures),),
            "pebble",
            one.task,
            one.query,
            precision="fp32",
            adapter=adapter,
            sampling=Sampling(temperature=0.0, max_tokens=64),
            owner=ME,
        )
        deltas = [*self.engine.answer(request)]
        regions = tuple(region for delta in deltas for region in delta.regions)
        return Reply("".join(delta.text for delta in deltas), regions)


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.close()


def test_from_examples_to_an_adapter_that_answers_though_it_was_stopped_on_the_way(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    base = desk.asked(desk.taught[0], None)
    config = RunConfig(name="Nothing", steps=6, evaluate_every=3, save_every=2, held_out=0.5, **TAUGHT)
    run = desk.runs.start(ME, config, desk.dataset)
    soon(lambda: desk.told(run, Stepped))
    states = desk.engine.models()
    assert "training: Nothing" in [state.name for state in states], "it holds its memory"
    desk.runs.stop(ME, run.id)
    stopped = desk.ended(run)
    assert stopped.state is State.STOPPED and desk.told(run, Saved) and not run.folder.adapter.exists()
    assert desk.asked(desk.taught[0], None) == base, "chat goes on meanwhile"

    before = _killed_while_it_is_scored(desk, run) if KILLED_IN_SCORING else b""
    capsys.readouterr()
    assert main(["finetune", "--owner", ME, "--resume", run.id]) == 0
    told = capsys.readouterr().out.splitlines()
    done = desk.now(run)
    assert done.state is State.DONE and done.status.answered == 12, done.status.sentence

    steps = [event.step for event in desk.told(run, Stepped)]
    assert sorted(set(steps)) == [1, 2, 3, 4, 5, 6] and steps == sorted(steps), "nothing was taught twice"
    assert desk.told(run, Evaluated) and desk.told(run, Sampled) and desk.told(run, Answered)
    found = desk.runs.judged(ME, run.id)
    assert found and len(found.sides) == 12
    assert [side.after for side in found.sides] != [side.before for side in found.sides]
    assert told[-1] == found.sentence and "held out: 12 of 12 answered" in told[-3]
    assert run.folder.answers.read_bytes().startswith(before), "nothing was asked twice"
    card = json.loads((settings().data / "adapters" / run.id / "card.json").read_text())
    assert card["owner"] == ME and card["verdict"] == found.sentence
    side = found.sides[0]
    assert desk.asked(side.example, run.id) == side.after, "what was judged is what chat answers"
    assert desk.asked(side.example, None) == side.before
    soon(lambda: "training: Nothing" not in [state.name for state in desk.engine.models()])


def _killed_while_it_is_scored(desk: Desk, run: Run) -> bytes:
    """What was answered until then."""
    desk.runs.resume(ME, run.id)
    soon(lambda: desk.now(run).status.answered or desk.now(run).state is State.DONE)
    scoring = desk.now(run)
    assert scoring.state is State.SCORING and scoring.status.to_answer == 12
    assert end(run.folder, 20)
    assert desk.ended(run).state is State.BROKEN and desk.runs.judged(ME, run.id) is None
    return run.folder.answers.read_bytes()


@pytest.mark.parametrize("how", ["dpo", "kto"])
def test_preferences_come_to_an_adapter_that_was_scored_and_answers(desk: Desk, how: str) -> None:
    pairs = desk.examples.create(ME, "Pairs").id
    for one in desk.taught[:8]:
        desk.examples.add(ME, pairs, replace(one, rejected=Reply("blue square")))
    # A rate of which it does not go to pieces: whoever babbles babbles differently in the last digit.
    asked = {**TAUGHT, "rate": 2e-3, "stage": "preference", "preference": how, "steps": 3, "held_out": 0.25}
    run = desk.runs.start(
        ME, RunConfig.read({"name": "Rather", "save_every": 2, "evaluate_every": 2, **asked}), pairs
    )
    done = desk.ended(run)
    assert done.state is State.DONE, done.status.sentence
    assert [event.step for event in desk.told(run, Stepped)] == [1, 2, 3]
    assert desk.told(run, Evaluated) and desk.told(run, Sampled) and desk.told(run, Saved)
    found = desk.runs.judged(ME, run.id)
    assert found and len(found.sides) == 2
    side = found.sides[0]
    assert desk.asked(side.example, run.id) == side.after and desk.asked(side.example, None) == side.before
