"""Times of a video that a text names: '0:12', '01:02:03', 'at 12.5 s', '12 seconds', '1 min 5 s'."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_NUMBER = r"\d{1,6}(?:\.\d{1,3})?"
_S = r"(?:s|secs?\.?|seconds?)"
_M = r"(?:m|mins?\.?|minutes?)"
_H = r"(?:h|hrs?\.?|hours?)"
_CLOCK = re.compile(
    r"(?<![\d:.,/])(?:(?P<hours>\d{1,2}):(?P<sixty>[0-5]?\d)|(?P<minutes>\d{1,3})):"
    r"(?P<seconds>[0-5]\d(?:\.\d{1,3})?)(?![\d:/]|\.\d|\s?(?:[ap]\.?m\b))",
    re.IGNORECASE,
)
# 'For ten seconds' is how long, not when; '1990s' are years, 's/frame' is a rate.
_WHEN = r"(?<!for )(?<!every )(?<!lasts )(?<!within )(?<![\w.,:/])(?!\d{4}s)"
_NOT_LONG = r"(?![\w/]|\s(?:long|later|each|per|of)\b)"
_WORDS = re.compile(
    rf"{_WHEN}(?:(?P<h>{_NUMBER})[\s-]?{_H}(?:,?\s(?:and\s)?|(?=\d)))?"
    rf"(?:(?P<m>{_NUMBER})[\s-]?{_M}(?:,?\s(?:and\s)?|(?=\d)))?"
    rf"(?P<s>{_NUMBER})[\s-]?{_S}{_NOT_LONG}",
    re.IGNORECASE,
)
_MINUTES = re.compile(
    rf"\b(?:at|around|about|after|until|by|near)\s"
    rf"(?P<place>(?:(?P<h>{_NUMBER})\s?{_H}\s(?:and\s)?)?(?P<m>{_NUMBER})\s?(?:minutes?|mins?\.?))(?!\w)",
    re.IGNORECASE,
)
_NAMED = re.compile(rf"\bsecond\s(?P<s>{_NUMBER})(?![\w:]|\.\d)", re.IGNORECASE)
_RANGE = re.compile(
    rf"{_WHEN}(?P<s>{_NUMBER})(?=\s?(?:-|–|—|to|and)\s?{_NUMBER}[\s-]?{_S}{_NOT_LONG})", re.IGNORECASE
)
_FORMS = (_CLOCK, _WORDS, _RANGE, _NAMED, _MINUTES)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time that is named in a text: the characters from `start` to `end`, and the seconds they mean."""

    start: int
    end: int
    seconds: float


def moments(text: str) -> tuple[Moment, ...]:
    """The times that a text names, in their order.

    What may be something else is left out as well: scores ('3-2'), ratios ('16:9'), the time
    of day ('8:30 pm'), rates ('5 s/frame') and durations ('for 10 seconds'). A span counts
    characters of `text`.
    """
    found: list[Moment] = []
    for moment in sorted(_all(text), key=lambda one: (one.start, -one.end)):
        if not found or moment.start >= found[-1].end:
            found.append(moment)
    return tuple(found)


def clock(seconds: float) -> str:
    """A time as people read it, in whole seconds: '0:12', '12:05', '1:02:03'."""
    whole = int(max(seconds, 0) + 0.001)  # a frame's time is kept in milliseconds
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def _all(text: str) -> Iterator[Moment]:
    for form in _FORMS:
        for match in form.finditer(text):
            groups = match.groupdict()
            start, end = match.span("place" if "place" in groups else 0)
            if form is _CLOCK:
                parts = (groups["hours"], groups["sixty"] or groups["minutes"], groups["seconds"])
            else:
                parts = (groups.get("h"), groups.get("m"), groups.get("s"))
            hours, minutes, seconds = (float(part or 0) for part in parts)
            yield Moment(start, end, hours * 3600 + minutes * 60 + seconds)
