"""What lies on the workbench, as the page sees it. All of it is frozen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vlm_app.types import PERSON, Answer, Box, Region, Task


class Kind(StrEnum):
    """What was opened."""

    IMAGES = "images"
    DOCUMENT = "document"
    VIDEO = "video"


@dataclass(frozen=True, slots=True)
class Page:
    """One picture of a sheet: an image, a page of a document, a frame of a video.

    `key` names it within its sheet ('i0', 'p3', 't12.480'), `title` on the page ('cat.png',
    'Page 3', '0:12'). `size` is (width, height) in pixels in which it is looked at. `number`
    counts a document's pages from 1, `seconds` is a frame's time.
    """

    key: str
    title: str
    size: tuple[int, int]
    number: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Sheet:
    """Images that were opened together, one document, or one video with the frames taken of it.

    `seconds` is how long a video lasts, 0 for others. `note` is what a person should know of how
    it was opened, or empty.
    """

    id: str
    owner: str
    name: str
    kind: Kind
    pages: tuple[Page, ...]
    created: datetime
    seconds: float = 0.0
    note: str = ""

    def page(self, key: str) -> Page | None:
        """The page of that key, if there is one."""
        return next((page for page in self.pages if page.key == key), None)


@dataclass(frozen=True, slots=True)
class Mark:
    """A region of a finding and who made it: a model's id, or `PERSON`.

    `region.image` counts the finding's pages. `id` stays with it through changes. `edited`
    says that a person has changed what a model made.
    """

    id: str
    region: Region
    maker: str = PERSON
    edited: bool = False


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of pages of a sheet; the fields are those of a `Request`.

    `region` is the drawn part, for DESCRIBE_REGION, on the only page. `detail` asks about tiles
    of a large image.
    """

    task: Task
    query: str = ""
    model: str = ""
    precision: str = "auto"
    adapter: str | None = None
    pixels: int | None = None
    region: Box | None = None
    detail: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What one model answered about some pages of a sheet, and what was made of it since.

    `pages` are keys of the sheet's pages; regions count them. `answer` is as it was given,
    `marks` and `text` are as they are now. `beside` is the id of the finding to which this one
    is the second opinion. `note` says what was done beside asking (tiles, a turned page).
    """

    id: str
    owner: str
    sheet: str
    pages: tuple[str, ...]
    question: Question
    answer: Answer
    marks: tuple[Mark, ...]
    text: str
    created: datetime
    updated: datetime
    beside: str | None = None
    note: str = ""
    corrected: bool = False  # whether a person has changed marks or text

    @property
    def regions(self) -> tuple[Region, ...]:
        return tuple(mark.region for mark in self.marks)


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an answer on its way: what there is of it; `finding` when it is done and kept.

    `done` and `total` count pages or tiles where several are asked.
    """

    answer: Answer
    finding: Finding | None = None
    done: int = 0
    total: int = 1
    marks: tuple[Mark, ...] = field(default=())
