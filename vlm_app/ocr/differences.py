"""Where two readings of the same page differ: in the text word by word, on the page region by region.

Words are what stands between white space. Two words are the same when their letters are:
lower and upper case differ (a reader that mistakes one for the other is wrong), how many
spaces or line breaks part them does not, nor do the marks that Unicode writes in several ways
(NFKC: 'ﬁ' is 'fi', a full-width digit a digit), nor which dash, quote or apostrophe it is.
A word that one reading wrote as two ('Total EUR' and 'TotalEUR') does differ.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vlm_app.grounding.formats.order import reading_order
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Box, Region

_SAME = str.maketrans(
    dict.fromkeys("‐‑‒–—―−", "-") | dict.fromkeys("‘’‚′`´", "'") | dict.fromkeys("“”„″«»", '"')
)
_TOUCHING = 0.3  # of the smaller region that another covers, when both lie on the same text
_MANY = 2000  # words: longer texts are divided before they are compared, which would take minutes
_ALIKE = 50_000  # pairs of equal words: difflib, whose marks are neater, takes long for more
_LARGEST = 200_000_000  # words of the one by words of the other: bits of the table of what they share
_WORD = re.compile(r"\S+")

_Chain = tuple[tuple[int, int], "_Chain | None"]  # a pair of places, and those before it


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two texts differ: [start, end) of the one, [other_start, other_end) of the other.

    Both are whole words without the white space around them. Where one text has nothing, its
    span is empty and lies where the words would stand.
    """

    start: int
    end: int
    other_start: int
    other_end: int


def differences(one: str, other: str) -> tuple[Difference, ...]:
    """The places where two texts differ, in order; neighbouring words are one place."""
    mine, theirs = _words(one), _words(other)
    changes = _changes([word for word, _, _ in mine], [word for word, _, _ in theirs])
    return tuple(Difference(*_span(mine, a0, a1), *_span(theirs, b0, b1)) for a0, a1, b0, b1 in changes)


def _changes(mine: Sequence[str], theirs: Sequence[str]) -> Iterator[tuple[int, int, int, int]]:
    """The stretches of words that differ, in order; long texts are compared between their anchors."""
    start, other_start = 0, 0
    for end, other_end in [*_anchors(mine, theirs), (len(mine), len(theirs))]:
        at, other_at = start, other_start
        for a, b, size in _same_runs(mine[start:end], theirs[other_start:other_end]):
            if at < start + a or other_at < other_start + b:
                yield at, start + a, other_at, other_start + b
            at, other_at = start + a + size, other_start + b + size
        start, other_start = end + 1, other_end + 1  # the anchor itself is the same


def _same_runs(one: Sequence[str], other: Sequence[str]) -> Sequence[tuple[int, int, int]]:
    """Where words are the same in both, in order: the two places and how many; at the end none."""
    counts, other_counts = Counter(one), Counter(other)
    many = sum(count * other_counts[word] for word, count in counts.items()) > _ALIKE
    if many and len(one) * len(other) <= _LARGEST:
        return [*((a, b, 1) for a, b in _shared(one, other)), (len(one), len(other), 0)]
    return difflib.SequenceMatcher(None, one, other, autojunk=many).get_matching_blocks()


def _shared(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int]]:
    """The places of the words that both have, as many as stand in the same order.

    That is their longest common subsequence, found word by word of `other` on the bits of whole
    numbers (Hyyrö 2004): a bit of a row is 0 where a word of `one` makes it longer.
    """
    places: defaultdict[str, int] = defaultdict(int)
    for at, word in enumerate(one):
        places[word] |= 1 << at
    every = (1 << len(one)) - 1
    rows = [every]
    for word in other:
        met = rows[-1] & places[word]
        rows.append(((rows[-1] + met) | (rows[-1] - met)) & every)
    found: list[tuple[int, int]] = []
    a, b = len(one), len(other)
    while a and b:
        if rows[b] >> (a - 1) & 1:
            a -= 1
        elif not rows[b - 1] >> (a - 1) & 1:
            b -= 1
        else:
            a, b = a - 1, b - 1
            found.append((a, b))
    return found[::-1]


def _anchors(mine: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """The places of words that both have once, as many as stand in the same order (patience diff)."""
    if max(len(mine), len(theirs)) <= _MANY:
        return []
    counts, other_counts = Counter(mine), Counter(theirs)
    places = {word: place for place, word in enumerate(theirs) if other_counts[word] == 1}
    pairs = [(at, places[word]) for at, word in enumerate(mine) if counts[word] == 1 and word in places]
    ends: list[int] = []  # of the best chain of each length: its last place in the other text
    chains: list[_Chain] = []
    for pair in pairs:
        length = bisect_left(ends, pair[1])
        chain = (pair, chains[length - 1] if length else None)
        ends[length : length + 1], chains[length : length + 1] = [pair[1]], [chain]
    found: list[tuple[int, int]] = []
    last = chains[-1] if chains else None
    while last is not None:
        found.append(last[0])
        last = last[1]
    return found[::-1]


def differing(regions: Sequence[Region], others: Sequence[Region]) -> frozenset[int]:
    """The indexes of those regions whose text the other reading has not at their place.

    A region is compared with the words of all those of the other reading that lie on it, in
    their order: one may have read as a line what the other read word by word. Where nothing of
    the other lies on it, it differs; one without words never does. Ask the other way round for
    the others.
    """
    on_image: defaultdict[int, list[Region]] = defaultdict(list)
    for other in others:
        on_image[other.image].append(other)
    agrees = (_agrees(region, on_image[region.image]) for region in regions)
    return frozenset(number for number, same in enumerate(agrees) if not same)


def _agrees(region: Region, others: Sequence[Region]) -> bool:
    """Whether a region's words stand in what lies on it of the others, which are those of its image."""
    mine = [word for word, _, _ in _words(_said(region))]
    if not mine:
        return True
    box = bounds(region.shape)
    near = [each for each in others if _covered(box, bounds(each.shape))]
    order = reading_order([bounds(each.shape) for each in near])
    theirs = [[word for word, _, _ in _words(_said(near[one]))] for one in order]
    return any(_holds(words, mine) for words in ([word for words in theirs for word in words], *theirs))


def _holds(words: Sequence[str], part: Sequence[str]) -> bool:
    """Whether `part` stands in `words` in a row."""
    return any(list(words[at : at + len(part)]) == list(part) for at in range(len(words) - len(part) + 1))


def _said(region: Region) -> str:
    return region.label if region.text is None else region.text


def _words(text: str) -> list[tuple[str, int, int]]:
    """Each word as it is compared, and where it stands."""
    return [
        (unicodedata.normalize("NFKC", found[0]).translate(_SAME), found.start(), found.end())
        for found in _WORD.finditer(text)
    ]


def _span(words: Sequence[tuple[str, int, int]], first: int, end: int) -> tuple[int, int]:
    if first < end:
        return words[first][1], words[end - 1][2]
    place = words[first][1] if first < len(words) else words[-1][2] if words else 0
    return place, place


def _covered(one: Box, other: Box) -> bool:
    """Whether two regions lie on the same text."""
    wide = min(one.x1, other.x1) - max(one.x0, other.x0)
    high = min(one.y1, other.y1) - max(one.y0, other.y0)
    smaller = min(one.area, other.area)
    return wide > 0 and high > 0 and wide * high > _TOUCHING * smaller
