"""Pages as people write them: '1-3,7'."""

from __future__ import annotations

import re

from vlm_app.errors import BadInput

_PIECE = re.compile(r"(\d{0,9})(?:\s*([-–])\s*(\d{0,9}))?")
_LONGEST = 40  # characters of what was written that a sentence repeats


def page_numbers(text: str, pages: int) -> tuple[int, ...]:
    """The pages that a text names, in its order and each once; of an empty text all.

    '1-3,7' are four pages, '5-' all from the fifth, '-2' the first two. Numbers count from 1.

    Raises:
        BadInput: one sentence, where the text cannot be read or names a page that is not there.
    """
    if not text.strip():
        return tuple(range(1, pages + 1))
    chosen: dict[int, None] = {}
    for piece in text.split(","):
        first, last = _ends(piece.strip(), text, pages)
        chosen |= dict.fromkeys(range(first, last + 1))
    return tuple(chosen)


def _ends(piece: str, text: str, pages: int) -> tuple[int, int]:
    found = _PIECE.fullmatch(piece)
    if found is None or not (found[1] or (found[2] and found[3])):
        raise BadInput(f"Pages are written as '1-3,7', found '{text[:_LONGEST]}': give numbers and ranges.")
    first = int(found[1] or 1)
    last = int(found[3] or (pages if found[2] else first))
    for number in (first, last):
        if not 1 <= number <= pages:
            there = f"pages 1 to {pages}" if pages > 1 else "page 1 alone"
            raise BadInput(f"There is no page {number}: the document has {there}.")
    if first > last:
        raise BadInput(f"The range '{piece}' of pages ends before it begins: write '{last}-{first}'.")
    return first, last
