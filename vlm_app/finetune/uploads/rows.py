"""What comes out of a dataset that somebody brought: rows, and what is wrong with others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vlm_app.finetune.examples import Example
from vlm_app.finetune.uploads.spaces import Space
from vlm_app.types import Task

LONGEST_ROW = 64_000_000  # bytes of one row, pictures within it among them
LONGEST_TEXT = 20_000  # characters of a question or an answer: no model learns from more at once
MOST_REGIONS = 1_000  # of one picture


class BadRow(Exception):
    """A row cannot be an example. Holds the reason, without the row."""


def printable(text: str) -> str:
    """A text on one line without control and direction marks; what somebody named may hold them."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


@dataclass(frozen=True, slots=True)
class Mark:
    """A box as its file has it: left, top, right, bottom in the file's own units."""

    label: str
    box: tuple[float, float, float, float]
    image: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """A row whose pictures are not open yet.

    `pictures` are names of files, or data URIs. `text` is None where the answer is only `marks`.
    `space` is set where the format knows in what its boxes are; `size` is that of the pictures as
    the file says it, in pixels. `own` is an example of this app, as `example_to_dict` writes it.
    """

    pictures: tuple[str, ...]
    task: Task
    query: str = ""
    text: str | None = None
    marks: tuple[Mark, ...] = ()
    space: Space | None = None
    size: tuple[int, int] | None = None
    rejected: str | None = None
    note: str = ""
    own: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """An example, where it stood (rows count from 1), and the split that its file gives it, if any."""

    example: Example
    file: str
    row: int
    split: str = ""

    @property
    def origin(self) -> str:
        """Where it stood, in words: 'train.jsonl, row 3'."""
        return f"{self.file}, row {self.row:,}"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row, numbered from 1 as its file counts; 0: the file as a whole.

    `reason` is a sentence without its full stop.
    `left_out` is False where the row is an example all the same, and a person should look at it.
    """

    file: str
    row: int
    reason: str
    left_out: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", printable(self.file))
        object.__setattr__(self, "reason", printable(self.reason))

    @property
    def sentence(self) -> str:
        where = f"{self.file}, row {self.row:,}" if self.row else self.file
        return f"{where}: {self.reason}."


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a dataset, or would become of it.

    `added` examples are good and new, `again` ones are held already or stand twice in the file,
    `left_out` rows cannot be used. `problems` are the first thousand; `alike` counts pictures that
    nearly repeat another one. `notes` say what the format is and how it was read.
    """

    added: int = 0
    again: int = 0
    left_out: int = 0
    alike: int = 0
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    tasks: Mapping[Task, int] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, int] = field(default_factory=dict)
    stopped: bool = False

    @property
    def sentence(self) -> str:
        """What a person is told first."""
        parts = [f"{self.added:,} example{'s' * (self.added != 1)}"]
        if self.again:
            parts.append(f"{self.again:,} that {'is' if self.again == 1 else 'are'} there already")
        if self.left_out:
            parts.append(f"{self.left_out:,} row{'s' * (self.left_out != 1)} left out")
        return ", ".join(parts) + (", stopped before the end." if self.stopped else ".")
