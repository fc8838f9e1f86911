"""What two models both found."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from math import hypot

from vlm_app.grounding import bounds, iou
from vlm_app.types import Box, Point, Region

_NEAR = 0.05  # of a side: two points that are no further from each other mean one thing
_TEXT_OVERLAP = 0.1  # IoU at least: a line is thin, and readers leave more or less room around it,
_COVERED = 0.5  # but this much of the smaller one lies in the larger
_ALIKE = 0.8  # of two readings' characters, in order, are the same in both
_ANYTHING = frozenset({"", "object", "region", "thing", "text", "item"})  # labels that tell nothing apart
_ARTICLES = frozenset({"a", "an", "the"})
_WORD = re.compile(r"\w+")


def agreed(a: Sequence[Region], b: Sequence[Region], threshold: float = 0.5) -> tuple[tuple[int, int], ...]:
    """The regions that two answers about the same pages have in common.

    Shapes agree from an intersection over union of `threshold` on, two points within a twentieth
    of the image's sides, a point with a shape when it lies in it. Labels have to agree as well
    where both answers have one: the words of the one are among those of the other ('circle', 'the
    red circle'). Located text agrees by what was read, roughly, and where.

    Returns:
        (index in `a`, index in `b`) of each pair, the best first; each index at most once.
    """
    on_image: defaultdict[int, list[tuple[int, _Read]]] = defaultdict(list)
    for j, region in enumerate(b):
        on_image[region.image].append((j, _read(region)))
    scored = [
        (-score, i, j)
        for i, one in enumerate(map(_read, a))
        for j, other in on_image[one.image]
        if (score := _agreement(one, other, threshold)) > 0
    ]
    pairs: list[tuple[int, int]] = []
    used_a, used_b = set[int](), set[int]()
    for _, i, j in sorted(scored):
        if i not in used_a and j not in used_b:
            pairs.append((i, j))
            used_a.add(i)
            used_b.add(j)
    return tuple(pairs)


@dataclass(frozen=True, slots=True)
class _Read:
    """What counts of a region, worked out once: each is compared with many."""

    image: int
    box: Box
    point: Point | None
    words: frozenset[str]
    text: str


def _read(region: Region) -> _Read:
    words = frozenset(_WORD.findall(region.label.casefold())) - _ARTICLES
    known = frozenset() if " ".join(words) in _ANYTHING else words
    point = region.shape if isinstance(region.shape, Point) else None
    text = "".join((region.text or "").casefold().split())
    return _Read(region.image, bounds(region.shape), point, known, text)


def _agreement(one: _Read, other: _Read, threshold: float) -> float:
    """How well two regions of one image agree, up to 1; 0 where they do not."""
    if one.text and other.text:
        overlap = _same_line(one.box, other.box)  # before the texts, which take much longer to compare
        return overlap if overlap and _alike(one.text, other.text) else 0.0
    if one.words and other.words and not (one.words <= other.words or other.words <= one.words):
        return 0.0
    if one.point and other.point:
        return max(1 - hypot(one.point.x - other.point.x, one.point.y - other.point.y) / _NEAR, 0.0)
    if one.point or other.point:
        return _inside(one, other)
    overlap = iou(one.box, other.box)
    return overlap if overlap >= threshold else 0.0


def _same_line(one: Box, other: Box) -> float:
    overlap = iou(one, other)
    shared = overlap * (one.area + other.area) / (1 + overlap)
    close = overlap >= _TEXT_OVERLAP and shared >= _COVERED * min(one.area, other.area)
    return overlap if close else 0.0


def _inside(one: _Read, other: _Read) -> float:
    """A point agrees with a shape around it, the better the nearer to its middle."""
    point, box = (one.point, other.box) if one.point else (other.point, one.box)
    if point is None or not (box.x0 <= point.x <= box.x1 and box.y0 <= point.y <= box.y1):
        return 0.0
    across, down = point.x - (box.x0 + box.x1) / 2, point.y - (box.y0 + box.y1) / 2
    return 1 - min(hypot(across, down), 0.9)


def _alike(one: str, other: str) -> bool:
    return one == other or SequenceMatcher(None, one, other, autojunk=False).ratio() >= _ALIKE
