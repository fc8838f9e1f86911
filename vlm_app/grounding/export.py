"""Regions as plain data for JSON, and back.

`{"label": "red circle", "kind": "box", "box": [x0, y0, x1, y1], "image": 0, "span": [9, 19]}`

`kind` names the key that holds the shape, in fractions (0..1) of the upright original:
`box` four numbers, `point` two, `polygon` a list of [x, y], `mask` an object with the
`box` it is laid over, its `size` [width, height] and `runs`, the lengths of its runs of
0 and 1 in turn, row by row, starting with 0. `span` is null where the text has no phrase
for it; `text` and `score` are left out where there are none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape

LARGEST_MASK = 50_000_000  # pixels; a few run lengths can claim any size


def region_to_dict(region: Region) -> dict[str, Any]:
    """A region as JSON-ready data; `region_from_dict` gives the same region back."""
    data: dict[str, Any] = {
        "label": region.label,
        "kind": region.kind,
        region.kind: _shape_data(region.shape),
        "image": region.image,
        "span": None if region.span is None else list(region.span),
    }
    if region.text is not None:
        data["text"] = region.text
    if region.score is not None:
        data["score"] = region.score
    return data


def region_from_dict(data: Mapping[str, Any]) -> Region:
    """A region from data that somebody may have written by hand.

    Raises:
        BadInput: one sentence that names what is missing or wrong.
    """
    if not isinstance(data, Mapping):
        raise BadInput(f"A region is an object with 'label' and 'kind', found {_short(data)}.")
    try:
        return Region(
            label=_text(data, "label"),
            shape=_shape(data),
            image=_whole(data.get("image", 0), "image"),
            text=None if data.get("text") is None else _text(data, "text"),
            score=None if data.get("score") is None else _number(data["score"], "score"),
            span=None if data.get("span") is None else _pair(data["span"], "span"),
        )
    except ValueError as error:  # an impossible value, in the words of the type that refused it
        raise BadInput(f"A region cannot be read: {error}.") from error


def _shape_data(shape: Shape) -> Any:
    if isinstance(shape, Box):
        return list(shape.xyxy)
    if isinstance(shape, Point):
        return [shape.x, shape.y]
    if isinstance(shape, Polygon):
        return [[point.x, point.y] for point in shape.points]
    return {"box": list(shape.box.xyxy), "size": list(shape.size), "runs": _runs(shape.bits)}


def _runs(bits: bytes) -> list[int]:
    runs = [(value, sum(1 for _ in run)) for value, run in groupby(bits)]
    return [0] * (runs[0][0] != 0) + [length for _, length in runs]


def _shape(data: Mapping[str, Any]) -> Shape:
    kind = data.get("kind")
    readers: dict[str, Callable[[Any], Shape]]
    readers = {"box": _box, "point": _point, "polygon": _polygon, "mask": _mask}
    if not isinstance(kind, str) or kind not in readers:
        raise BadInput(f"A region's 'kind' is box, point, polygon or mask, found {_short(kind)}.")
    if kind not in data:
        raise BadInput(f"A region of kind '{kind}' has its shape under '{kind}': add it.")
    return readers[kind](data[kind])


def _box(value: Any) -> Box:
    return Box(*_numbers(value, "box", 4))


def _point(value: Any) -> Point:
    return Point(*_numbers(value, "point", 2))


def _polygon(value: Any) -> Polygon:
    return Polygon(tuple(_point(point) for point in _list(value, "polygon")))


def _mask(value: Any) -> Mask:
    if not isinstance(value, Mapping):
        raise BadInput(f"A region's 'mask' is an object with box, size and runs, found {_short(value)}.")
    width, height = _pair(value.get("size"), "size")
    runs = [_whole(run, "runs") for run in _list(value.get("runs"), "runs")]
    if min(width, height) < 1 or width * height > LARGEST_MASK:
        raise BadInput(f"A mask has 1 to {LARGEST_MASK:,} pixels, found {width:,} × {height:,}.")
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise BadInput(f"The runs of a mask of {width} × {height} add up to its pixels, found {sum(runs):,}.")
    bits = b"".join(bytes([index % 2]) * run for index, run in enumerate(runs))
    return Mask(_box(value.get("box")), (width, height), bits)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    if not isinstance(value, str):
        raise BadInput(f"A region's '{key}' is text, found {_short(value)}.")
    return value


def _number(value: Any, key: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadInput(f"A region's '{key}' holds numbers, found {_short(value)}.")
    try:
        return float(value)
    except OverflowError:  # a whole number of hundreds of digits
        return math.inf if value > 0 else -math.inf


def _whole(value: Any, key: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"A region's '{key}' holds whole numbers, found {_short(value)}.")
    return value


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise BadInput(f"A region's '{key}' is a list, found {_short(value)}.")
    return list(value)


def _numbers(value: Any, key: str, count: int) -> list[float]:
    values = _list(value, key)
    if len(values) != count:
        raise BadInput(f"A region's '{key}' has {count} numbers, found {len(values)}.")
    return [_number(one, key) for one in values]


def _pair(value: Any, key: str) -> tuple[int, int]:
    values = _list(value, key)
    if len(values) != 2:
        raise BadInput(f"A region's '{key}' has 2 numbers, found {len(values)}.")
    return _whole(values[0], key), _whole(values[1], key)


def _short(value: Any) -> str:
    """What was found, in a few characters."""
    if value is None:
        return "nothing"
    if isinstance(value, str | int | float | bool):
        shown = repr(value)
        return shown if len(shown) <= 40 else f"{shown[:39]}…"
    return "a list" if isinstance(value, list | tuple) else "an object"
