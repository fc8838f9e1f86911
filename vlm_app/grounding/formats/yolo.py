"""YOLO: a zip with a text file of labels for each image, as Ultralytics reads them.

Sources: https://docs.ultralytics.com/datasets/detect and /datasets/segment. A line is the
class, then the centre, width and height of a box, or the corners of an outline, x before
y, all from 0 to 1. Ultralytics takes either boxes or outlines: with one outline in a
result, its boxes are written as outlines too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from vlm_app.grounding.formats.files import safe_names, utf8, zipped
from vlm_app.grounding.formats.result import Result, class_of, classes
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Box, Mask, Point, Polygon, Region

_DIGITS = 6  # a thousandth of a pixel in 1,000


def write(result: Result) -> bytes:
    """A zip with labels/NAME.txt for each image, classes.txt and data.yaml."""
    shown = [region for region in result.regions if not isinstance(region.shape, Point)]
    names = classes(shown)
    outlined = any(isinstance(region.shape, Polygon | Mask) for region in shown)
    files = [
        (f"labels/{name}.txt", "".join(_lines(shown, image, names, outlined, result)))
        for image, name in enumerate(safe_names(_stem(source.name) for source in result.images))
    ]
    files += [("classes.txt", "".join(f"{name}\n" for name in names)), ("data.yaml", _yaml(names))]
    left_out = len(result.regions) - len(shown)
    if left_out:
        files.append(("LEFT_OUT.txt", f"YOLO's labels hold no points: {left_out} left out.\n"))
    return zipped((name, utf8(text)) for name, text in files)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _yaml(names: Sequence[str]) -> str:
    """A JSON text is a YAML text, quotes and backslashes too. Without a path its own folder is meant."""
    rows = "".join(f"  {n}: {json.dumps(name, ensure_ascii=False)}\n" for n, name in enumerate(names))
    return "train: images\nval: images\nnames:" + (f"\n{rows}" if names else " {}\n")


def _lines(
    regions: Sequence[Region], image: int, names: Sequence[str], outlined: bool, result: Result
) -> Iterator[str]:
    numbers = {name: number for number, name in enumerate(names)}
    for region in regions:
        if region.image == image:
            for values in _outlines(region, result.images[image].size) if outlined else [_box(region)]:
                written = (f"{min(max(value, 0.0), 1.0):.{_DIGITS}f}" for value in values)
                yield f"{numbers[class_of(region)]} {' '.join(written)}\n"


def _box(region: Region) -> list[float]:
    box = bounds(region.shape)
    return [(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2, box.x1 - box.x0, box.y1 - box.y0]


def _outlines(region: Region, size: tuple[int, int]) -> list[list[float]]:
    """The corners of a shape; a mask has a line for each of its parts, its holes are filled."""
    shape = region.shape
    if isinstance(shape, Polygon):
        return [[value for point in shape.points for value in (point.x, point.y)]]
    if isinstance(shape, Mask):
        # OpenCV and supervision take more than a second to import: not before there is a mask.
        from vlm_app.grounding.areas import rings

        found = [ring / size for ring in rings(shape, size, holes=False) if len(ring) >= 3]
        if found:
            return [[float(value) for value in ring.ravel()] for ring in found]
    return [_corners(bounds(shape))]


def _corners(box: Box) -> list[float]:
    return [box.x0, box.y0, box.x1, box.y0, box.x1, box.y1, box.x0, box.y1]
