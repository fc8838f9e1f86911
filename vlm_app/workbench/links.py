"""The places in an answer that name a page or a time."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_app.workbench.sheet import Sheet


@dataclass(frozen=True, slots=True)
class Link:
    """The characters `start` to `end` of a text name a page of the sheet.

    `key` is the page's; of a video that of the nearest frame that the sheet has ('' where it
    has none), and `seconds` the time that was named.
    """

    start: int
    end: int
    key: str
    seconds: float | None = None


def links(text: str, sheet: Sheet) -> tuple[Link, ...]:
    """The links of a text in their order: 'page 3' and 'p. 3' of a document, times of a video."""
    raise NotImplementedError
