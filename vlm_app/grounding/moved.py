"""Phrases that stay linked to their regions when a person changes the text around them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

_WORD = re.compile(r"\S+\s*|\s+")
_MOST_WORDS = 3_000  # between the first and the last change, that are compared word by word

Span = tuple[int, int]


class Moved:
    """Where places of a text lie in a later version of it."""

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self._changes = [] if before == after else _changes(before, after)

    def span(self, span: Span | None) -> Span | None:
        """The span of the same phrase, also of one that was itself corrected; None where there is none."""
        if span is None:
            return None
        start, end = self._place(span[0], first=True), self._place(span[1], first=False)
        return (start, end) if start is not None and end is not None and start < end else None

    def _place(self, place: int, first: bool) -> int | None:
        """A place between two characters, the first or the last one of a phrase."""
        offset = 0
        for (start, end), (new_start, new_end) in self._changes:
            if place < start:
                break
            if place == start and start == end:
                whole = self._is_of_word(place, self._after[new_start:new_end], first)
                return new_start if first == whole else new_end
            if place == start:
                return new_start
            if place < end:
                return None
            offset = new_end - end
        return place + offset

    def _is_of_word(self, place: int, inserted: str, first: bool) -> bool:
        """Whether letters that were missing belong to the word that begins or ends there."""
        left, right = self._before[place - 1 : place].isalnum(), self._before[place : place + 1].isalnum()
        edge = (right and not left) if first else (left and not right)
        return edge and inserted.isalnum()


def _changes(before: str, after: str) -> list[tuple[Span, Span]]:
    """What was replaced by what, as spans of both texts, in order, each as short as can be."""
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    words, others = _WORD.findall(old), _WORD.findall(new)
    if max(len(words), len(others)) > _MOST_WORDS:
        return [((start, start + len(old)), (start, start + len(new)))]
    places, other_places = _places(words, start), _places(others, start)
    found = []
    for kind, i, j, k, m in SequenceMatcher(None, words, others, autojunk=False).get_opcodes():
        if kind != "equal":
            spans = ((places[i], places[j]), (other_places[k], other_places[m]))
            found.append(_trimmed(before, after, *spans))
    return found


def _places(words: Sequence[str], start: int) -> list[int]:
    places = [start]
    for word in words:
        places.append(places[-1] + len(word))
    return places


def _trimmed(before: str, after: str, one: Span, other: Span) -> tuple[Span, Span]:
    """A change without the characters that are the same at its ends."""
    old, new = before[slice(*one)], after[slice(*other)]
    head = _common(old, new)
    tail = _common(old[head:][::-1], new[head:][::-1])
    return (one[0] + head, one[1] - tail), (other[0] + head, other[1] - tail)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with alike."""
    if one == other:
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
