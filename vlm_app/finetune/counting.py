"""The number that an answer to 'how many' says."""

from __future__ import annotations

import re

_WORDS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty".split()
    )
} | {"no": 0, "none": 0}
_TOTAL = re.compile(r"\btotal(?: of)?:? (\d{1,6})\b", re.IGNORECASE)
_NUMBER = re.compile(rf"(?<![\w.,])(\d{{1,6}})(?![\w%]|[.,]\d)|\b({'|'.join(_WORDS)})\b", re.IGNORECASE)


def said_count(text: str) -> int | None:
    """The count in an answer: behind 'Total', else the first whole number in it, in digits or in words."""
    if total := _TOTAL.findall(text):
        return int(total[-1])
    found = _NUMBER.search(text)
    if found is None:
        return None
    return int(found[1]) if found[1] else _WORDS[found[2].lower()]
