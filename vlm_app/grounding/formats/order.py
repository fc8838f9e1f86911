"""The order in which located text is read: down, and column by column where there are columns.

A page is divided at the gutter between its columns; lines that cross it (a title, a footer)
divide the columns into bands. Everything else is read in rows, as the cells of a table and
the price beside its article are.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from vlm_app.types import Box

_LINES = 3  # a column has at least as many, and its lines are at least as wide:
_NARROWEST = 0.2  # of all the text's width; else a price beside its article would be a column
_FULL = 0.75  # of its column's width: so wide is a line of prose
_PROSE = 0.6  # of a column's lines are full; those of a table are not
_CROSSING = 0.34  # of the lines, at most, go across the gutter


def reading_order(boxes: Sequence[Box]) -> list[int]:
    """The indexes of boxes of upright text as they are read, left to right within a line."""
    return [one for row in reading_rows(boxes) for one in row]


def reading_rows(boxes: Sequence[Box]) -> list[list[int]]:
    """The same as rows: what stands side by side, from left to right, is one row."""
    wide = max((box.x1 for box in boxes), default=0.0) - min((box.x0 for box in boxes), default=0.0)
    return _order(boxes, list(range(len(boxes))), wide)


def _order(boxes: Sequence[Box], found: list[int], wide: float) -> list[list[int]]:
    """`wide` is the width of all the text, of which a column is a part."""
    if not found:
        return []
    gutter = _gutter(boxes, found, wide)
    if gutter is None:
        return _rows(boxes, found)
    crossing = [one for one in found if boxes[one].x0 < gutter < boxes[one].x1]
    beside = [one for one in found if one not in set(crossing)]
    order: list[list[int]] = []
    above = -1.0
    # Lines across the columns divide the page into bands, each with its columns.
    for row in [*_rows(boxes, crossing), []]:
        below = _middle(boxes[row[0]]) if row else 2.0
        band = [one for one in beside if above <= _middle(boxes[one]) < below]
        order += _order(boxes, [one for one in band if boxes[one].x1 <= gutter], wide)
        order += _order(boxes, [one for one in band if boxes[one].x0 >= gutter], wide)
        order += [row] if row else []
        above = below
    return order


def _gutter(boxes: Sequence[Box], found: list[int], wide: float) -> float | None:
    """The place across which the fewest lines go, a column of prose at its left and more at its right."""
    best: tuple[int, float] | None = None
    place: float | None = None
    for right in {boxes[one].x1 for one in found}:
        left = [one for one in found if boxes[one].x1 <= right]
        rest = [one for one in found if boxes[one].x0 > right]
        crossing = len(found) - len(left) - len(rest)
        if not rest or crossing > _CROSSING * len(found):
            continue
        gap = min(boxes[one].x0 for one in rest) - right
        if best is not None and (crossing, -gap) >= best:
            continue
        columns = _is_column([boxes[one] for one in left], wide) and (
            _is_column([boxes[one] for one in rest], wide) or _gutter(boxes, rest, wide) is not None
        )
        if columns:
            best, place = (crossing, -gap), right + gap / 2
    return place


def _is_column(boxes: Sequence[Box], width: float) -> bool:
    """Whether lines are prose: wide ones, most of which end where their column ends."""
    if len(boxes) < _LINES or median(box.x1 - box.x0 for box in boxes) < _NARROWEST * width:
        return False
    whole = max(box.x1 for box in boxes) - min(box.x0 for box in boxes)
    full = sum(box.x1 - box.x0 >= _FULL * whole for box in boxes)
    return full >= _PROSE * len(boxes)


def _rows(boxes: Sequence[Box], found: list[int]) -> list[list[int]]:
    """Down the page; what stands beside the first box of a row belongs to that row."""
    rows: list[list[int]] = []
    for one in sorted(found, key=lambda one: _middle(boxes[one])):
        first = boxes[rows[-1][0]] if rows else None
        if first is not None and _middle(boxes[one]) < first.y1 and _middle(first) > boxes[one].y0:
            rows[-1].append(one)
        else:
            rows.append([one])
    return [sorted(row, key=lambda one: boxes[one].x0) for row in rows]


def _middle(box: Box) -> float:
    return (box.y0 + box.y1) / 2
