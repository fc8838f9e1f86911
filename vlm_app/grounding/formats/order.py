"""The order in which located text is read: down, and column by column where there are columns."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from vlm_app.types import Box

_WIDE = 0.6  # of the text's width: such a line spans the columns, as a title does
_LINES = 3  # a column has at least as many, and its lines are at least as wide:
_NARROWEST = 0.25  # of the text's width; else a price beside its article would be a column


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """The indexes of boxes of upright text as they are read, left to right within a line."""
    return _order(boxes, list(range(len(boxes))))


def _order(boxes: Sequence[Box], found: list[int]) -> list[int]:
    if not found:
        return []
    start, end = min(boxes[one].x0 for one in found), max(boxes[one].x1 for one in found)
    wide = [one for one in found if boxes[one].x1 - boxes[one].x0 > _WIDE * (end - start)]
    narrow = [one for one in found if one not in set(wide)]
    gutter = _gutter(boxes, narrow, end - start)
    if gutter is None:
        return _lines(boxes, found)
    order: list[int] = []
    above = -1.0
    # Lines across all columns divide the page into bands, each with its columns.
    for line in [*_lines(boxes, wide), None]:
        below = 2.0 if line is None else _middle(boxes[line])
        band = [one for one in narrow if above <= _middle(boxes[one]) < below]
        left = [one for one in band if boxes[one].x1 <= gutter]
        order += _order(boxes, left) + _order(boxes, [one for one in band if one not in set(left)])
        order += [] if line is None else [line]
        above = below
    return order


def _gutter(boxes: Sequence[Box], found: list[int], width: float) -> float | None:
    """Where no box crosses and text stands on both sides; the widest such gap."""
    ranked = sorted(found, key=lambda one: boxes[one].x0)
    best: tuple[float, float] | None = None
    reach = 0.0
    for place, one in enumerate(ranked):
        gap = boxes[one].x0 - reach
        if place >= _LINES and gap > 0 and (best is None or gap > best[0]):
            sides = (ranked[:place], ranked[place:])
            if all(_is_column([boxes[other] for other in side], width) for side in sides):
                best = (gap, reach)
        reach = max(reach, boxes[one].x1)
    return None if best is None else best[1]


def _is_column(boxes: Sequence[Box], width: float) -> bool:
    return len(boxes) >= _LINES and median(box.x1 - box.x0 for box in boxes) >= _NARROWEST * width


def _lines(boxes: Sequence[Box], found: list[int]) -> list[int]:
    """Down the page; what stands beside the first box of a line belongs to that line."""
    lines: list[list[int]] = []
    for one in sorted(found, key=lambda one: _middle(boxes[one])):
        first = boxes[lines[-1][0]] if lines else None
        if first is not None and _middle(boxes[one]) < first.y1 and _middle(first) > boxes[one].y0:
            lines[-1].append(one)
        else:
            lines.append([one])
    return [one for line in lines for one in sorted(line, key=lambda one: boxes[one].x0)]


def _middle(box: Box) -> float:
    return (box.y0 + box.y1) / 2
