"""The order in which located text is read: down, and column by column where there are columns.

A page is divided at the gutter between its columns; lines that cross it (a title, a footer)
divide the columns into bands. Everything else is read in rows, as the cells of a table and
the price beside its article are.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from statistics import median

from vlm_app.types import Box

_LINES = 3  # a column has at least as many, and its lines are at least as wide:
_NARROWEST = 0.2  # of all the text's width; else a price beside its article would be a column
_FULL = 0.75  # of its column's width: so wide is a line of prose
_PROSE = 0.6  # of a column's lines are full; those of a table are not
_CROSSING = 0.34  # of the lines, at most, go across the gutter
_MOST = 3000  # lines: no page that is read in columns has more, and looking for them takes its time


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
    beside = [one for one in found if not boxes[one].x0 < gutter < boxes[one].x1]
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
    if len(found) > _MOST:
        return None
    lines = sorted((boxes[one] for one in found), key=lambda box: box.x0)
    starts = [box.x0 for box in lines]

    @cache  # what stands right of a gutter is divided alike, whichever line ends just there
    def after(first: int) -> float | None:
        for gap, right, rest in _gaps(lines[first:], starts[first:]):
            left = [box for box in lines[first : first + rest] if box.x1 <= right]
            beyond = lines[first + rest :]
            if _is_column(left, wide) and (_is_column(beyond, wide) or after(first + rest) is not None):
                return right + gap / 2
        return None

    return after(0)


def _gaps(lines: Sequence[Box], starts: Sequence[float]) -> list[tuple[float, float, int]]:
    """Where a gutter may lie, the likeliest first: how wide, right of what, and how many lines begin
    before its end. `lines` are in the order of their `starts`."""
    ends = sorted(box.x1 for box in lines)
    found = []
    for right in dict.fromkeys(ends):
        rest = bisect_right(starts, right)
        crossing = rest - bisect_right(ends, right)
        if rest < len(lines) and crossing <= _CROSSING * len(lines):
            found.append((crossing, right - starts[rest], right, rest))
    return [(-gap, right, rest) for _, gap, right, rest in sorted(found)]


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
