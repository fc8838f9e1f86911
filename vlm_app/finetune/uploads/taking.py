"""What a dataset is worth, row by row: counted, compared, and kept."""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Event

from vlm_app import limits
from vlm_app.finetune.examples import Example, Examples, digest
from vlm_app.finetune.likeness import Likenesses, likeness
from vlm_app.finetune.uploads.reading import Reading, read_dataset
from vlm_app.finetune.uploads.rows import Problem, Report, Row
from vlm_app.finetune.uploads.spaces import Space
from vlm_app.types import Picture, Task

MOST_LISTED = 1_000  # problems
_MOST_LABELS = 1_000
_ROWS = 40  # bits of a row's number
_EVERY = 0.5  # seconds between two reports
_TOGETHER = 200  # rows that are kept in one transaction
_MOST_PIXELS = 16_000_000  # of the pictures of those rows, which are in memory meanwhile

Keep = Callable[[Sequence[Example]], Sequence[bool]]  # keeps examples; of each whether it was there


def check(
    rows: Iterable[Row | Problem],
    report: Callable[[Report], None] | None = None,
) -> Report:
    """What taking these rows in would do; nothing is kept.

    Raises `BadInput` where the dataset is none. `report` is told twice a second how far it is.
    """
    return _run(rows, lambda examples: [False] * len(examples), report, lambda: False)


def take_in(
    examples: Examples,
    owner: str,
    dataset_id: str,
    path: Path,
    name: str = "",
    *,
    space: Space | None = None,
    report: Callable[[Report], None] | None = None,
    stop: Event | None = None,
) -> Report:
    """Keeps the good rows of a dataset among the examples of `dataset_id`; bad ones are left out.

    `space` says in what its boxes are, where it should not be found out. What was kept before `stop`
    was set, or an error came, stays. Raises `BadInput` where it is no dataset, `NotFound` where
    `dataset_id` is not the owner's.
    """

    def keep(gathered: Sequence[Example]) -> Sequence[bool]:
        return examples.add_all(owner, dataset_id, gathered)

    def stopped() -> bool:
        return stop is not None and stop.is_set()

    with read_dataset(path, name, space=space, stopped=stopped, allowed=limits.of(owner)) as rows:
        return _run(rows, keep, report, stopped)


def _run(
    rows: Iterable[Row | Problem],
    keep: Keep,
    report: Callable[[Report], None] | None,
    stopped: Callable[[], bool],
) -> Report:
    tally, told = _Tally(keep), time.monotonic()
    try:
        for one in rows:
            tally.take(one)
            if report is not None and time.monotonic() - told >= _EVERY:
                told = time.monotonic()
                report(tally.report())
    finally:  # also of what ends with an error, the rows before it are kept
        tally.settle()
    notes = tuple(rows.notes) if isinstance(rows, Reading) else ()
    return tally.report(notes, stopped())


class _Tally:
    """Counts rows. Of each it remembers a few dozen bytes, so that any number can come.

    Those that are new are gathered, and kept together: a transaction for each would take longer
    than all else.
    """

    def __init__(self, keep: Keep) -> None:
        self._keep = keep
        self._gathered: list[Row | Problem] = []
        self._pixels = 0  # of their pictures
        self._added = self._again = self._left_out = self._alike = 0
        self._problems: list[Problem] = []
        self._tasks: Counter[Task] = Counter()
        self._labels: Counter[str] = Counter()
        self._splits: Counter[str] = Counter()
        self._files: list[str] = []
        self._examples: dict[int, int] = {}  # the start of a digest -> the place of the row
        self._pictures: set[int] = set()  # the starts of their hashes
        self._looks = Likenesses()
        self._looked_at = array("Q")  # the place of the row of each of them

    def take(self, one: Row | Problem) -> None:
        """The next row, or what is wrong with it."""
        if isinstance(one, Row):
            one = self._repeated(one) or one
        self._gathered.append(one)
        if isinstance(one, Row):
            sizes = (picture.size for picture in one.example.pictures)
            self._pixels += sum(width * height for width, height in sizes)
        if len(self._gathered) >= _TOGETHER or self._pixels >= _MOST_PIXELS:
            self.settle()

    def settle(self) -> None:
        """Keep and count what is gathered."""
        gathered, self._gathered, self._pixels = self._gathered, [], 0
        rows = [one for one in gathered if isinstance(one, Row)]
        again = iter(self._keep([row.example for row in rows]) if rows else ())
        for one in gathered:
            if isinstance(one, Problem):
                self._problem(one)
            else:
                self._row(one, next(again))

    def _repeated(self, row: Row) -> Problem | None:
        """What is said of a row that stands in the files for the second time."""
        place, start = self._place(row), int(digest(row.example)[:16], 16)
        first = self._examples.setdefault(start, place)
        if first == place:
            return None
        self._again += 1
        return Problem(row.file, row.row, f"it is the same as {self._named(first, row)}", left_out=False)

    def _problem(self, problem: Problem) -> None:
        self._left_out += problem.left_out
        if len(self._problems) < MOST_LISTED:
            self._problems.append(problem)

    def _row(self, row: Row, again: bool) -> None:
        if again:
            self._again += 1
            return
        self._added += 1
        self._tasks[row.example.task] += 1
        self._splits[row.split] += bool(row.split)
        for region in row.example.regions:
            if region.label in self._labels or len(self._labels) < _MOST_LABELS:
                self._labels[region.label] += 1
        for picture in row.example.pictures:
            self._look(picture, self._place(row), row)

    def report(self, notes: tuple[str, ...] = (), stopped: bool = False) -> Report:
        """How it stands."""
        return Report(
            self._added,
            self._again,
            self._left_out,
            self._alike,
            tuple(self._problems),
            notes,
            dict(self._tasks),
            dict(self._labels.most_common()),
            dict(+self._splits),
            stopped,
        )

    def _look(self, picture: Picture, place: int, row: Row) -> None:
        """Lists a picture that nearly repeats another one; the very same one is no such."""
        start = int(picture.sha256[:16], 16)
        if start in self._pictures:
            return
        self._pictures.add(start)
        self._looked_at.append(place)
        other = self._looks.add(likeness(picture))
        if other is not None:
            self._alike += 1
            where = self._named(self._looked_at[other], row)
            reason = f"its picture is nearly the same as that of {where}"
            self._problem(Problem(row.file, row.row, reason, left_out=False))

    def _place(self, row: Row) -> int:
        """File and row as one number."""
        if not self._files or self._files[-1] != row.file:
            self._files.append(row.file)
        return len(self._files) - 1 << _ROWS | row.row

    def _named(self, place: int, row: Row) -> str:
        file, number = self._files[place >> _ROWS], place & (1 << _ROWS) - 1
        return f"row {number:,}" if file == row.file else f"{file}, row {number:,}"
