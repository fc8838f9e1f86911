"""How a run went, as a plot can show it: a few hundred points of however many steps.

What a run said is read once and then only what is new, so that looking every second costs little.
"""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

from vlm_app.finetune.events import Evaluated, Event, Said, Sampled, Saved, Stepped
from vlm_app.finetune.run_folder import RunFolder

MOST_POINTS = 600  # of a curve
_KEPT = 8  # runs whose curves are remembered
_SAMPLES = 48  # answers to one example that are remembered
_SAID = 20  # sentences
_E = TypeVar("_E", Evaluated, Sampled)
_AROUND = 40  # of so many steps one more is looked at on each side for the mean of the loss


@dataclass(frozen=True, slots=True)
class Point:
    """A step: its loss, the mean of the loss around it, and how fast it went; memory in bytes."""

    step: int
    loss: float
    smooth: float
    rate: float
    memory: int
    examples_per_second: float


@dataclass(frozen=True, slots=True)
class Curve:
    """What a plot needs of a run. `read` is how many bytes of its events that holds."""

    points: tuple[Point, ...]
    evaluated: tuple[Evaluated, ...]
    samples: tuple[Sampled, ...]
    said: tuple[str, ...]
    saved: int
    seconds_left: float | None
    epoch: float
    read: int


class Curves:
    """The curves of the runs that were looked at last. Safe to use from several threads."""

    def __init__(self) -> None:
        self._courses: OrderedDict[Path, _Course] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, folder: RunFolder) -> Curve:
        """The curve of a run as it is now."""
        with self._lock:
            course = self._courses.setdefault(folder.path, _Course())
            self._courses.move_to_end(folder.path)
            while len(self._courses) > _KEPT:
                self._courses.popitem(last=False)
            events, read = folder.events(course.read)
            if read < course.read:  # another run stands there
                course = self._courses[folder.path] = _Course()
                events, read = folder.events()
            course.take(events)
            course.read = read
            return course.curve()


@dataclass
class _Course:
    """All steps of one run, as columns of numbers, which take little room."""

    read: int = 0
    steps: array[int] = field(default_factory=lambda: array("q"))
    columns: tuple[array[float], ...] = field(default_factory=lambda: tuple(array("d") for _ in range(4)))
    evaluated: list[Evaluated] = field(default_factory=list)
    samples: dict[int, list[Sampled]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    saved: int = 0
    left: float | None = None
    epoch: float = 0.0

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, Stepped):
                self._step(event)
            elif isinstance(event, Evaluated):
                _put(self.evaluated, event)
            elif isinstance(event, Sampled):
                self._sample(event)
            elif isinstance(event, Saved):
                self.saved = event.step
            elif isinstance(event, Said):
                self.said = [*self.said, event.sentence][-_SAID:]

    def _step(self, event: Stepped) -> None:
        """Adds a step; one that is told again after a resumption takes the place of the first."""
        kept = bisect_left(self.steps, event.step) if self.steps and self.steps[-1] >= event.step else None
        if kept is not None:
            del self.steps[kept:]
            for column in self.columns:
                del column[kept:]
        self.steps.append(event.step)
        row = (event.loss, event.rate, event.memory, event.examples_per_second)
        for column, value in zip(self.columns, row, strict=True):
            column.append(value)
        self.left, self.epoch = event.seconds_left, event.epoch

    def _sample(self, event: Sampled) -> None:
        told = self.samples.setdefault(event.example, [])
        _put(told, event)
        if len(told) > _SAMPLES:
            del told[1:-1:2]

    def curve(self) -> Curve:
        samples = [each for place in sorted(self.samples) for each in self.samples[place]]
        return Curve(
            points=tuple(self._points()),
            evaluated=tuple(_fewer(self.evaluated, MOST_POINTS)),
            samples=tuple(samples),
            said=tuple(self.said),
            saved=self.saved,
            seconds_left=self.left,
            epoch=self.epoch,
            read=self.read,
        )

    def _points(self) -> Iterator[Point]:
        losses = self.columns[0]
        finite = [loss if math.isfinite(loss) else 0.0 for loss in losses]
        sums = list(accumulate(finite, initial=0.0))
        reach = 1 + len(losses) // _AROUND
        for place in thinned(finite, MOST_POINTS):
            near = min(
                reach, place, len(losses) - 1 - place
            )  # as many before as after, so that it does not lag
            mean = (sums[place + near + 1] - sums[place - near]) / (2 * near + 1)
            loss, rate, memory, speed = (column[place] for column in self.columns)
            yield Point(self.steps[place], loss, mean, rate, int(memory), speed)


def thinned(values: Sequence[float], most: int) -> list[int]:
    """Which of many values are drawn, by their places: of each stretch the least, the largest and the last.

    So no peak is lost.
    """
    if len(values) <= most:
        return list(range(len(values)))
    stretches, kept = most // 3, set[int]()
    for stretch in range(stretches):
        places = range(stretch * len(values) // stretches, (stretch + 1) * len(values) // stretches)
        kept |= {min(places, key=values.__getitem__), max(places, key=values.__getitem__), places[-1]}
    return sorted(kept | {0})


def _put(told: list[_E], event: _E) -> None:
    """What is told again after a resumption takes the place of the first."""
    while told and told[-1].step >= event.step:
        told.pop()
    told.append(event)


def _fewer(told: Sequence[Evaluated], most: int) -> list[Evaluated]:
    """So many, evenly spread, with the last."""
    if len(told) <= most:
        return list(told)
    every = math.ceil(len(told) / most)
    return [each for place, each in enumerate(told) if place % every == 0 or each is told[-1]]
