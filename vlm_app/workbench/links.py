"""The places in an answer that name a page or a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vlm_app.workbench.sheet import Kind, Page, Sheet

# 'page 3', 'p. 3', 'pages 2, 5 and 7': each number is a link, the first one with its word.
_PAGES = re.compile(
    r"\b(?:pages?|pp?\.)\s{0,3}\d{1,4}\b(?:\s{0,3}(?:,|and|&|,\s?and|or|to|–|-)\s{0,3}\d{1,4}\b){0,20}",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+")


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
    """The links of a text in their order: 'page 3' and 'p. 3' of a document, times of a video,
    names of images where there are several. What names no page of the sheet is none."""
    if sheet.kind is Kind.DOCUMENT:
        return tuple(_pages(text, sheet))
    if sheet.kind is Kind.VIDEO:
        return tuple(_times(text, sheet))
    return tuple(_names(text, sheet))


def _pages(text: str, sheet: Sheet) -> Iterator[Link]:
    keys = {page.number: page.key for page in sheet.pages}
    for group in _PAGES.finditer(text):
        start = group.start()
        for number in _NUMBER.finditer(text, *group.span()):
            key = keys.get(int(number.group()))
            if key is not None:
                yield Link(start, number.end(), key)
            start = _next_number(text, number.end(), group.end())


def _next_number(text: str, at: int, end: int) -> int:
    following = _NUMBER.search(text, at, end)
    return following.start() if following else end


def _times(text: str, sheet: Sheet) -> Iterator[Link]:
    from vlm_app.grounding.moments import moments

    for moment in moments(text):
        if 0.0 <= moment.seconds <= sheet.seconds + 1.0:  # what lies beyond its end is no time of it
            yield Link(moment.start, moment.end, _nearest(sheet, moment.seconds), moment.seconds)


def _nearest(sheet: Sheet, seconds: float) -> str:
    def away(page: Page) -> float:
        return abs((page.seconds or 0.0) - seconds)

    return min(sheet.pages, key=away).key if sheet.pages else ""


def _names(text: str, sheet: Sheet) -> Iterator[Link]:
    """Longer names first, so that 'b.png' is not found inside 'ab.png'."""
    keys = {page.title: page.key for page in reversed(sheet.pages) if page.title.strip()}
    if len(sheet.pages) < 2 or not keys:
        return
    names = sorted(keys, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, names))})(?!\w)")
    for found in pattern.finditer(text):
        yield Link(found.start(), found.end(), keys[found.group()])
