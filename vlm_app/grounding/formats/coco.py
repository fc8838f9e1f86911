"""COCO's object detection format: one JSON object of images, categories and annotations.

Source: https://cocodataset.org/#format-data. Pixels, a box as left, top, width, height.
Of what it leaves open: a point is a single keypoint named 'point' with an empty box; a
mask is a run-length code with `iscrowd` 0, since it is one object; `score` (as in COCO's
results) and `utf8_string` (as in COCO-Text) are there where a region has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from vlm_app.grounding.formats.bitmaps import pixels_of, runs_of
from vlm_app.grounding.formats.files import json_bytes
from vlm_app.grounding.formats.result import Result, class_of, classes
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Box, Mask, Point, Polygon, Region

Size = tuple[int, int]  # width, height in pixels

_DIGITS = 3  # of a pixel
_SEEN = 2  # COCO's word for a keypoint that is visible


def write(result: Result) -> bytes:
    """All images of a result in one file, each with its regions."""
    names = classes(result.regions)
    ids = {name: number for number, name in enumerate(names, 1)}
    pointed = {class_of(region) for region in result.regions if isinstance(region.shape, Point)}
    data = {
        "info": {"description": f"{result.task} {result.query}".strip(), "contributor": result.model},
        "images": [
            {"id": number, "file_name": image.name, "width": image.size[0], "height": image.size[1]}
            for number, image in enumerate(result.images, 1)
        ],
        "categories": [_category(name, ids[name], name in pointed) for name in names],
        "annotations": [
            {"id": number, "category_id": ids[class_of(region)]}
            | _annotation(region, result.images[region.image].size)
            for number, region in enumerate(result.regions, 1)
        ],
    }
    return json_bytes(data)


def _category(name: str, number: int, pointed: bool) -> dict[str, Any]:
    category: dict[str, Any] = {"id": number, "name": name, "supercategory": ""}
    return category | ({"keypoints": ["point"], "skeleton": []} if pointed else {})


def _annotation(region: Region, size: Size) -> dict[str, Any]:
    data: dict[str, Any] = {"image_id": region.image + 1, "iscrowd": 0} | _shape(region, size)
    if region.score is not None:
        data["score"] = region.score
    if region.text is not None:
        data["utf8_string"] = region.text
    return data


def _shape(region: Region, size: Size) -> dict[str, Any]:
    shape = region.shape
    if isinstance(shape, Mask):
        return _mask(shape, size)
    bbox = _bbox(bounds(shape), size)
    if isinstance(shape, Polygon):
        corners = [(point.x * size[0], point.y * size[1]) for point in shape.points]
        flat = [round(value, _DIGITS) for corner in corners for value in corner]
        return {"segmentation": [flat], "bbox": bbox, "area": round(_area(corners), _DIGITS)}
    data = {"segmentation": [], "bbox": bbox, "area": round(bbox[2] * bbox[3], _DIGITS)}
    if isinstance(shape, Point):
        data |= {"keypoints": [bbox[0], bbox[1], _SEEN], "num_keypoints": 1}
    return data


def _bbox(box: Box, size: Size) -> list[float]:
    values = (box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0)
    return [round(value * whole, _DIGITS) for value, whole in zip(values, size * 2, strict=True)]


def _area(corners: Sequence[tuple[float, float]]) -> float:
    """By the shoelace formula; that of an outline that crosses itself is too small."""
    after = (*corners[1:], corners[0])
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(corners, after, strict=True))) / 2


def _mask(mask: Mask, size: Size) -> dict[str, Any]:
    (left, top), rows = pixels_of(mask, size)
    counts = runs_of(rows.T, (left, top), size)  # COCO counts down the columns
    down, across = np.flatnonzero(rows.any(axis=1)), np.flatnonzero(rows.any(axis=0))
    bbox = [0, 0, 0, 0]
    if len(down):
        x, y = int(across[0]), int(down[0])
        bbox = [left + x, top + y, int(across[-1]) + 1 - x, int(down[-1]) + 1 - y]
    segmentation = {"size": [size[1], size[0]], "counts": counts}
    return {"segmentation": segmentation, "bbox": bbox, "area": int(rows.sum())}
