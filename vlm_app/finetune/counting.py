"""How many things an answer counts."""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.types import Region

_WORDS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty".split()
    )
} | {"no": 0, "none": 0}
_TOTAL = re.compile(r"\btotal(?: of)?:? (\d{1,6})\b", re.IGNORECASE)
_NUMBER = re.compile(rf"(?<![\w.,])(\d{{1,6}})(?![\w%]|[.,]\d)|\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
_GROUPED = re.compile(
    r"(?<![\w.,])\d{1,3}(?:[,’'\u00a0\u2009\u202f]\d{3})+(?![\w%]|[.,]\d)"
    r"|\A\s*\d{1,3}(?: \d{3})+\s*\Z"  # within a sentence such a space may part two numbers
)


def count_of(text: str, regions: Sequence[Region] = ()) -> int | None:
    """The count in an answer, or None where it says none.

    Behind 'Total', else the first whole number of its words, in digits or in English; the names of its
    regions are no such words. An answer that only names regions counts those.
    """
    said = said_count(without(text, [one.span for one in regions if one.span]))
    return said if said is not None or not regions else len(regions)


def said_count(text: str) -> int | None:
    """The count that the words say; of thousands that are set apart, as in 1,234, all of it."""
    text = _GROUPED.sub(lambda found: re.sub(r"\D", "", found[0]), text)
    if total := _TOTAL.findall(text):
        return int(total[-1])
    found = _NUMBER.search(text)
    if found is None:
        return None
    return int(found[1]) if found[1] else _WORDS[found[2].lower()]


def without(text: str, spans: Sequence[tuple[int, int]]) -> str:
    """The text without the characters of these spans."""
    hidden = {place for start, end in spans for place in range(start, end)}
    return "".join(letter for place, letter in enumerate(text) if place not in hidden)
