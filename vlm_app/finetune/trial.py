"""How long a run will take and what memory it needs, measured: a few of its steps in a process of its own.

`python -m vlm_app.finetune.trial FOLDER` trains in a folder that vanishes afterwards. It ends by
itself when its time is up, or when whoever started it has gone.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from statistics import fmean

from vlm_app.errors import ModelUnavailable
from vlm_app.finetune.estimate import steps
from vlm_app.finetune.events import Evaluated, Event, Sampled, State, Stepped
from vlm_app.finetune.examples import Example
from vlm_app.finetune.fitting import counts, lessons
from vlm_app.finetune.processes import end, spawn, standing
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.run_folder import Data, RunFolder
from vlm_app.finetune.spread import JUDGED, SAMPLES, WATCHED, spread
from vlm_app.store.images import ImageFolder

CHILD = ("-u", "-m", "vlm_app.finetune.trial")
SECONDS = 180.0  # for all of it, loading the base among it
ROUND = 3  # steps over new pictures, and as many over the same ones: their features may be kept by then
_WARM = 1  # step that is not counted: it looks for memory
_HELD_OUT = 4  # examples that are evaluated and answered
_LOOK_SECONDS = 0.1
_END_SECONDS = 10.0

Stopped = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Trial:
    """What follows for a run from a few of its steps.

    `steps` and `seconds` are those of the whole run, with loading, evaluations and scoring;
    `seconds_per_step` is the mean over its rounds, `bytes` the most that the process had.
    """

    steps: int
    seconds_per_step: float
    seconds: float
    bytes: int

    @property
    def sentence(self) -> str:
        """For a person."""
        from vlm_app.engine.slots import in_words

        return (
            f"{self.steps:,} step{'s' * (self.steps != 1)} of {self.seconds_per_step:.2g} s: about "
            f"{_lasting(self.seconds)} with evaluations and scoring, in {in_words(self.bytes)}."
        )


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of the whole run: rows that are taught, and examples that are held out."""

    train: int
    held_out: int


def trial(
    root: Path,
    config: RunConfig,
    sides: tuple[Sequence[Example], Sequence[Example]],
    images: ImageFolder,
    stopped: Stopped,
    seconds: float = SECONDS,
    child: Sequence[str] = CHILD,
) -> Trial:
    """Measure a run on examples to teach and held-out ones, whose pictures `images` has.

    The folder is made in `root` and removed. `stopped` is asked ten times a second.
    Raises `ModelUnavailable` with a sentence when it was stopped, took longer than `seconds` before
    anything could be measured, or cannot be trained.
    """
    train, held_out = sides
    short, rows = _short(config), _rows(config)
    with _folder(root) as folder:
        taught = spread(train, ROUND * rows)
        folder.write_examples("train", taught, images)
        folder.write_examples("held_out", spread(held_out, _HELD_OUT), images)
        folder.write_data(Data(train=len(taught), held_out=min(len(held_out), _HELD_OUT)))
        folder.write_config(short)
        begun = time.time()
        late = _await(folder, child, stopped, seconds)
        events = folder.events()[0]
        fresh, again = _measured(events, rows, lessons(config, counts(taught)))
        if not fresh and not again:
            if late:
                raise ModelUnavailable(
                    f"Not one step was done in {seconds:.0f} s, so its time cannot be told: start the run "
                    "all the same, or choose a smaller base or batch."
                )
            raise ModelUnavailable("The trial ended before a step was measured: try it again.")
        return _whole(
            config, Sizes(lessons(config, counts(train)), len(held_out)), events, begun, (fresh, again)
        )


def _short(config: RunConfig) -> RunConfig:
    """The run's own settings for two rounds over a few examples."""
    return config.model_copy(
        update={
            "steps": 2 * ROUND,
            "rehearsal": 0,
            "evaluate_every": 10_000,
            "save_every": 10_000,
            "patience": 0,
        }
    )


def _rows(config: RunConfig) -> int:
    """Examples of a step."""
    return config.batch * config.accumulation


@contextmanager
def _folder(root: Path) -> Iterator[RunFolder]:
    """A folder that the line of runs passes over, and sweeps away should we be killed."""
    from vlm_app.store import new_id

    path = root / f".trial-{new_id()}"
    path.mkdir(parents=True)
    folder = RunFolder(path)
    try:
        yield folder
    finally:
        with suppress(Exception):  # whatever is wrong with its files: a process of it must not go on
            end(folder, _END_SECONDS)
        shutil.rmtree(path, ignore_errors=True)


def _await(folder: RunFolder, child: Sequence[str], stopped: Stopped, seconds: float) -> bool:
    """Until the process has ended; True when its time was up before."""
    folder.update(state=State.QUEUED)
    process, until = spawn(folder, child), time.monotonic() + seconds
    assert process is not None, "nobody else knows this folder"
    try:
        while process.poll() is None:
            if stopped():
                raise ModelUnavailable("The trial was ended before it had measured anything.")
            if time.monotonic() > until:
                return True
            time.sleep(_LOOK_SECONDS)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        process.wait()
    status = standing(folder)
    if status.state is State.FAILED:
        raise ModelUnavailable(status.sentence)
    return False


# --- what was measured ------------------------------------------------------------------------


def _measured(events: Sequence[Event], rows: int, examples: int) -> tuple[list[float], list[float]]:
    """Seconds of steps over new pictures, and over pictures that were seen before."""
    told = [event for event in events if isinstance(event, Stepped)]
    fresh, again = list[float](), list[float]()
    for before, event in pairwise(told):
        lasted = event.at - before.at
        if event.step <= _WARM:
            continue
        if event.step * rows <= examples:
            fresh.append(lasted)
        elif (event.step - 1) * rows >= examples:
            again.append(lasted)
    return fresh or again, again or fresh


def _whole(
    config: RunConfig,
    sizes: Sizes,
    events: Sequence[Event],
    begun: float,
    measured: tuple[Sequence[float], Sequence[float]],
) -> Trial:
    """What the run takes, by what a few steps of it took."""
    number = steps(config, sizes.train)
    scenes = 0 if config.stage is Stage.PREFERENCE else config.rehearsal
    first = min(number, math.ceil((sizes.train + scenes) / _rows(config)))
    fresh, again = (fmean(each) for each in measured)
    training = first * fresh + (number - first) * again
    answer, loss = _answering(events, config, min(sizes.held_out, _HELD_OUT))
    asked = min(sizes.held_out, WATCHED) if config.watch == "score" else 0
    evaluation = loss * sizes.held_out + answer * (asked + min(sizes.held_out, SAMPLES))
    evaluations = 1 + math.ceil(number / config.evaluate_every)
    scoring = 2 * answer * min(sizes.held_out, JUDGED)
    told = [event for event in events if isinstance(event, Stepped)]
    loading = max(0.0, events[0].at - begun) if events else 0.0
    return Trial(
        steps=number,
        seconds_per_step=training / max(number, 1),
        seconds=loading + training + evaluations * evaluation + scoring,
        bytes=max((event.memory for event in told), default=0),
    )


def _answering(events: Sequence[Event], config: RunConfig, held_out: int) -> tuple[float, float]:
    """Seconds of an answer, and of a held-out example's loss, where so many were held out."""
    places = [place for place, event in enumerate(events) if isinstance(event, Evaluated)]
    if not places:
        return 0.0, 0.0
    last = places[-1]  # the first one comes before the first step, in the time of loading
    samples = list(takewhile(lambda event: isinstance(event, Sampled), events[last + 1 :]))
    answer = (samples[-1].at - events[last].at) / len(samples) if samples else 0.0
    spent = events[last].at - events[last - 1].at if last else 0.0
    asked = held_out if config.watch == "score" else 0
    return answer, max(0.0, spent - asked * answer) / max(held_out, 1)


def _lasting(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"


# --- in the process of the trial --------------------------------------------------------------


def main(path: Path) -> int:
    """Train what a folder says, and neither score nor keep it; the exit status."""
    from vlm_app.finetune import child
    from vlm_app.finetune.training import train

    until, parent = time.monotonic() + SECONDS, os.getppid()

    def work(folder: RunFolder, tell: Callable[[Event], None], stopped: Stopped) -> object:
        def over() -> bool:
            return stopped() or time.monotonic() > until or os.getppid() != parent

        return train(folder, tell, over)

    return child.main(path, work)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
