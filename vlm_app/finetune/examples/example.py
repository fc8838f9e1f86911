"""What an example is. All of it is frozen; an impossible one raises `ValueError` where it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from vlm_app.types import PERSON, Picture, Region, Task

_TOLD = frozenset({Task.CHAT, Task.CAPTION, Task.DESCRIBE_REGION})  # tasks that an answer in words belongs to


class Source(StrEnum):
    """Where an example comes from."""

    ANSWER = "answer"  # an answer of a chat, approved or corrected
    EDIT = "edit"  # a result of the workbench, with the regions as a person left them
    VOTE = "vote"  # a thumb, or a choice between two answers
    UPLOAD = "upload"  # a row of a dataset that somebody brought


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its words, and the regions that it names."""

    text: str
    regions: tuple[Region, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """A question about pictures, and the right answer to it.

    `text` and `regions` are the right answer. `text` is None where only a wrong one is known;
    `rejected` is such a wrong answer. `maker` is who gave the right one: a model's id, or `PERSON`.
    `id` and `created` are empty until it is kept.
    """

    pictures: tuple[Picture, ...]
    task: Task
    query: str = ""
    text: str | None = ""
    regions: tuple[Region, ...] = ()
    source: Source = Source.ANSWER
    maker: str = PERSON
    rejected: Reply | None = None
    note: str = ""
    id: str = ""
    created: datetime | None = None

    def __post_init__(self) -> None:
        if not self.pictures:
            raise ValueError("an example is about at least one picture, found none")
        if self.task is Task.CHAT and not self.query.strip():
            raise ValueError("an example of a chat holds its question in `query`, found none")
        if self.text is None and (self.regions or self.rejected is None):
            raise ValueError("an example without a right answer holds a wrong one, and no right regions")
        if self.task in _TOLD and self.text is not None and not self.text.strip():
            raise ValueError(f"an example of '{self.task}' holds its answer in words, found none")
        if self.rejected == self.chosen:
            raise ValueError("the right and the wrong answer of an example differ, found the same")
        _check_regions(self.text or "", self.regions, len(self.pictures))
        if self.rejected is not None:
            _check_regions(self.rejected.text, self.rejected.regions, len(self.pictures))

    @property
    def chosen(self) -> Reply | None:
        """The right answer, where it is known."""
        return None if self.text is None else Reply(self.text, self.regions)


def _check_regions(text: str, regions: Sequence[Region], pictures: int) -> None:
    for region in regions:
        if region.image >= pictures:
            raise ValueError(f"a region lies on one of {pictures} pictures, found number {region.image + 1}")
        if region.span is not None and region.span[1] > len(text):
            raise ValueError(f"a region lies on characters {region.span} of a text of {len(text)}")
