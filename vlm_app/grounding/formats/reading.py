"""Reading files of other tools: what they hold is checked, and named where it is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.types import Box, Mask, Point, Polygon, Region

LARGEST_SIDE = 1_000_000  # pixels
MOST_MASKED = 1_000_000_000  # pixels of all masks, a byte each; a small file can claim any number


def parsed(data: bytes | str, tool: str) -> Any:
    """The JSON of a file, or one sentence."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"A {tool} file is JSON, found something else: export it again as JSON.") from error


def record(value: Any, where: str) -> Mapping[str, Any]:
    """An object; `where` says in words where in the file it stands."""
    if not isinstance(value, Mapping):
        raise _wrong(where, "an object", value)
    return value


def entries(value: Any, where: str) -> list[Any]:
    """A list."""
    if not isinstance(value, list):
        raise _wrong(where, "a list", value)
    return value


def words(value: Any, where: str) -> str:
    """A text."""
    if not isinstance(value, str):
        raise _wrong(where, "text", value)
    return value


def number(value: Any, where: str) -> float:
    """A number that is neither infinite nor NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(where, "a number", value)
    try:
        found = float(value)
    except OverflowError:  # a whole number of hundreds of digits
        found = math.inf
    if not math.isfinite(found):
        raise _wrong(where, "a finite number", value)
    return found


def numbers(value: Any, where: str, count: int | None = None) -> list[float]:
    """A list of finite numbers, of a certain length where one is given."""
    found = [number(one, where) for one in entries(value, where)]
    if count is not None and len(found) != count:
        raise BadInput(f"{where} has {count} numbers, found {len(found)}: correct the file.")
    return found


def side(value: Any, where: str) -> int:
    """The width or height of an image in pixels."""
    found = number(value, where)
    if found != int(found) or not 1 <= found <= LARGEST_SIDE:
        raise _wrong(where, f"a whole number of pixels from 1 to {LARGEST_SIDE:,}", value)
    return int(found)


def score(value: Any, where: str) -> float | None:
    """How sure a model was, from 0 to 1; None where the file does not say it."""
    if value is None:
        return None
    found = number(value, where)
    if not 0 <= found <= 1:
        raise _wrong(where, "a score from 0 to 1", value)
    return found


def box(values: Sequence[float], size: tuple[float, float], where: str) -> Box:
    """A box of (left, top, width, height) on an image of `size`, cut off at its edges."""
    left, top, width, height = values
    if width < 0 or height < 0:
        raise BadInput(f"{where} has a width and a height of 0 or more, found {width:g} and {height:g}.")
    first, last = point((left, top), size), point((left + width, top + height), size)
    return Box(first.x, first.y, last.x, last.y)


def point(values: Sequence[float], size: tuple[float, float]) -> Point:
    """A place (x, y) on an image of `size`; one that lies outside is moved to the edge."""
    x, y = (min(max(value / whole, 0.0), 1.0) for value, whole in zip(values, size, strict=True))
    return Point(x, y)


def polygon(corners: Sequence[Sequence[float]], size: tuple[float, float], where: str) -> Polygon:
    """An outline of three or more (x, y)."""
    if len(corners) < 3:
        raise BadInput(f"{where} is a polygon of three or more points, found {len(corners)}.")
    return Polygon(tuple(point(corner, size) for corner in corners))


def held(regions: Iterable[Region]) -> tuple[Region, ...]:
    """All regions of a file, as long as their masks can be held in memory."""
    found, pixels = [], 0
    for region in regions:
        found.append(region)
        pixels += len(region.shape.bits) if isinstance(region.shape, Mask) else 0
        if pixels > MOST_MASKED:
            raise BadInput(f"All masks together have at most {MOST_MASKED:,} pixels: divide the file.")
    return tuple(found)


def _wrong(where: str, expected: str, found: Any) -> BadInput:
    shown = json.dumps(found, default=str) if not isinstance(found, list | Mapping) else type(found).__name__
    shown = "nothing" if found is None else shown if len(shown) <= 40 else f"{shown[:39]}…"
    return BadInput(f"{where} is {expected}, found {shown}: correct the file.")
