"""Did it help? The same held-out examples before and after, and what may be said of the difference."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vlm_app.finetune.bootstrap import Estimate, Pairs, difference
from vlm_app.finetune.scoring import FIGURES, HEADLINES, Ratio, Scored
from vlm_app.types import Task

NO_CHANGE = "No measurable change"
# By the sign test fewer that all point one way may be luck: 2 × 0.5 ** 5 is more than 0.05.
FEWEST = 6  # images on which a figure has to differ
_EMPTY = Ratio(0.0, 0.0)


class Outcome(StrEnum):
    """What a difference says."""

    BETTER = "better"
    WORSE = "worse"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after. `gain` is positive where it got better, also where less is better.

    `words` say it: 'better by 12.3 points (8.1 to 16.4)', or `NO_CHANGE`; `detail` says what was
    measured all the same, or why nothing can be said.
    """

    figure: str
    before: float
    after: float
    gain: Estimate
    outcome: Outcome
    words: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """An example whose answer got better or worse, by the figure of its task; `gain` as in `Change`."""

    key: str
    task: Task
    before: float
    after: float
    gain: float


@dataclass(frozen=True, slots=True)
class TaskVerdict:
    """What changed in one task, on how many examples and images; `headline` is the figure for all of it."""

    task: Task
    examples: int
    images: int
    unreadable: tuple[int, int]  # answers that could not be read, before and after
    changes: Mapping[str, Change]
    headline: Change | None

    @property
    def words(self) -> str:
        return self.headline.words if self.headline else NO_CHANGE


@dataclass(frozen=True, slots=True)
class Verdict:
    """What changed, by task, and the examples that got better and worse, the most first."""

    tasks: Mapping[Task, TaskVerdict]
    better: tuple[Moved, ...]
    worse: tuple[Moved, ...]

    @property
    def outcome(self) -> Outcome:
        """`WORSE` where any task got worse, else `BETTER` where any got better."""
        found = {one.headline.outcome for one in self.tasks.values() if one.headline}
        order = (Outcome.WORSE, Outcome.BETTER)
        return next((outcome for outcome in order if outcome in found), Outcome.SAME)

    @property
    def sentence(self) -> str:
        """The tasks that changed, or `NO_CHANGE`."""
        told = [
            f"{task.value} {one.words}"
            for task, one in self.tasks.items()
            if one.headline and one.headline.outcome is not Outcome.SAME
        ]
        return f"{'; '.join(told)}." if told else f"{NO_CHANGE}."


def helped(before: Sequence[Scored], after: Sequence[Scored], *, seed: int = 0) -> Verdict:
    """Compare the answers to the same examples before and after, in whatever order they come.

    Raises `ValueError` when they are not the same examples.
    """
    pairs = _paired(before, after)
    by_task = defaultdict[Task, list[tuple[Scored, Scored]]](list)
    for pair in pairs:
        by_task[pair[0].task].append(pair)
    tasks = {task: _verdict(task, by_task[task], seed) for task in Task if task in by_task}
    moved = [move for pair in pairs if (move := _moved(*pair)) is not None]
    return Verdict(
        tasks=tasks,
        better=tuple(sorted((one for one in moved if one.gain > 0), key=lambda one: (-one.gain, one.key))),
        worse=tuple(sorted((one for one in moved if one.gain < 0), key=lambda one: (one.gain, one.key))),
    )


def _paired(before: Sequence[Scored], after: Sequence[Scored]) -> list[tuple[Scored, Scored]]:
    old, new = ({one.key: one for one in side} for side in (before, after))
    if old.keys() != new.keys():
        odd = len(old.keys() ^ new.keys())
        raise ValueError(f"before and after are compared on the same examples, found {odd} on one side only")
    return [(old[key], new[key]) for key in old]


def _verdict(task: Task, pairs: Sequence[tuple[Scored, Scored]], seed: int) -> TaskVerdict:
    images = [one.image for one, _ in pairs]
    changes = {name: change for name in FIGURES if (change := _change(name, pairs, images, seed)) is not None}
    return TaskVerdict(
        task=task,
        examples=len(pairs),
        images=len(set(images)),
        unreadable=(sum(one.unreadable for one, _ in pairs), sum(one.unreadable for _, one in pairs)),
        changes=changes,
        headline=changes.get(HEADLINES[task]),
    )


def _change(
    name: str, pairs: Sequence[tuple[Scored, Scored]], images: Sequence[str], seed: int
) -> Change | None:
    before, after = (
        [(ratio.top, ratio.bottom) for ratio in (pair[side].ratios.get(name, _EMPTY) for pair in pairs)]
        for side in (0, 1)
    )
    rise = difference(before, after, images, seed=seed)
    if rise is None:
        return None
    down = FIGURES[name].lower
    gain = Estimate(-rise.value, -rise.high, -rise.low) if down else rise
    differing = len({image for image, old, new in zip(images, before, after, strict=True) if old != new})
    outcome = Outcome.SAME
    if differing >= FEWEST:
        outcome = Outcome.BETTER if gain.low > 0 else Outcome.WORSE if gain.high < 0 else Outcome.SAME
    words, detail = _words(name, gain, outcome, differing)
    return Change(name, _ratio(before), _ratio(after), gain, outcome, words, detail)


def _words(name: str, gain: Estimate, outcome: Outcome, differing: int) -> tuple[str, str]:
    if outcome is Outcome.SAME:
        if 0 < differing < FEWEST:
            of = f"{differing} image{'s' * (differing != 1)}"
            return (
                NO_CHANGE,
                f"Only {of} differ{'s' * (differing == 1)}: at least {FEWEST} are needed to tell.",
            )
        return NO_CHANGE, f"{_amount(name, gain.value, True)} ({_range(name, gain.low, gain.high, True)})."
    low, high = sorted((abs(gain.low), abs(gain.high)))
    return f"{outcome} by {_amount(name, abs(gain.value))} ({_range(name, low, high)})", ""


def _amount(name: str, value: float, signed: bool = False) -> str:
    number = _number(name, value, signed)
    return f"{number} point{'s' * (number.lstrip('+−') != '1.0')}" if FIGURES[name].share else number


def _range(name: str, low: float, high: float, signed: bool = False) -> str:
    return f"{_number(name, low, signed)} to {_number(name, high, signed)}"


def _number(name: str, value: float, signed: bool) -> str:
    """A share in points of a hundred, anything else as it is."""
    rounded = (round(100 * value, 1) if FIGURES[name].share else round(value, 2)) + 0.0  # no '-0.0'
    digits = 1 if FIGURES[name].share else 2
    return f"{rounded:{'+' * signed}.{digits}f}".replace("-", "−")


def _ratio(pairs: Pairs) -> float:
    return sum(top for top, _ in pairs) / sum(bottom for _, bottom in pairs)


def _moved(before: Scored, after: Scored) -> Moved | None:
    """The change of one example by the figure of its task, or None where there is none to tell."""
    name = HEADLINES[before.task]
    old, new = before.ratios.get(name), after.ratios.get(name)
    if old is None or new is None:
        return None
    best = 0.0 if FIGURES[name].lower else 1.0  # nothing to find, and nothing found
    first, second = (best if one.value is None else one.value for one in (old, new))
    gain = first - second if FIGURES[name].lower else second - first
    return Moved(before.key, before.task, first, second, gain)
