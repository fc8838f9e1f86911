"""Boxes in brackets behind the words that they belong to, as CogVLM, Ferret and Shikra write them.

The label is the noun phrase before the brackets. CogVLM's own parser asks a tagger for it;
here it begins behind the last stop or the last word that no noun phrase of a caption holds.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from vlm_app.families.base import Asked, Parsed
from vlm_app.families.reading import Reader, numbers, read_markup
from vlm_app.types import Shape, Task

_NEVER = re.compile("(?!)")
_LONGEST = 60  # characters: a noun phrase is shorter
_BEFORE = re.compile(
    r".*(?:[.,;:!?=()\[\]\n\"<>，。；：！？、（）]|\b(?:is|are|was|were|has|have|with|of|on|in|at|by|and|or|to|near|from|behind|"
    r"beside|under|over|holding|wearing|riding|shows?|there|features?)\b)\s*",
    re.IGNORECASE | re.DOTALL,
)


def read_phrased(
    text: str,
    reader: Reader,
    boxes: re.Pattern[str],
    place: Callable[[Sequence[float]], Shape | None],
    *,
    opened: re.Pattern[str],
    asked: Asked | None,
    end: str,
) -> Parsed:
    """Read an answer with boxes in brackets.

    Args:
        text: the raw answer so far.
        reader: what it is read into.
        boxes: brackets that are closed, with the white space before them; group 1 holds
            the numbers, `;` stands between boxes.
        place: the shape of one box's numbers, or None.
        opened: brackets that are not closed yet, to the end of the text.
        asked: where nothing stands before the brackets, the query is the label.
        end: the token that closes an answer.
    """
    query = asked[1].strip() if asked and asked[0] is not Task.CHAT else ""

    def read(match: re.Match[str]) -> None:
        shapes = [place(numbers(part)) for part in match[1].split(";")]
        label = phrase(reader.out)
        if label or reader.out:
            reader.behind(label or query, *shapes)
        else:
            reader.thing(query, *shapes)

    return read_markup(text, reader, boxes, read, opened=_NEVER if end in text else opened, end=end)


def phrase(text: str) -> str:
    """The noun phrase that a text ends with, or ''."""
    tail = text if len(text) <= _LONGEST else text[-_LONGEST:].partition(" ")[2]
    begun = _BEFORE.match(tail)
    return tail[begun.end() :].strip() if begun else tail.strip()
