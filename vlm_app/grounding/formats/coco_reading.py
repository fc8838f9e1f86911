"""COCO's object detection format, read back: ours, and that of other tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vlm_app.errors import BadInput
from vlm_app.grounding.export import LARGEST_MASK
from vlm_app.grounding.formats import reading
from vlm_app.grounding.formats.bitmaps import empty_mask, from_runs, mask_at
from vlm_app.grounding.formats.result import Result, Source, unique, with_class
from vlm_app.types import Mask, Point, Region, Shape

Size = tuple[int, int]
Id = int | str


def read(data: bytes | str) -> Result:
    """The images of a COCO file and its annotations as regions, in their order.

    A segmentation counts before the box; one of several outlines becomes a mask, because
    a polygon has one. A single keypoint becomes a point, of more only the box is taken.
    What lies beyond an image's edge is cut off there.

    Raises:
        BadInput: one sentence that names the annotation and what is wrong with it.
    """
    top = reading.record(reading.parsed(data, "COCO"), "A COCO file")
    rows = _rows(top, "images", "image")
    images = {_id(image, "id", where): _source(image, where) for image, where in rows}
    if len(images) != len(rows):
        raise BadInput("Each image of a COCO file has an id of its own, found one twice: correct the file.")
    names = {
        _id(category, "id", where): reading.words(category.get("name"), f"{where}, 'name',")
        for category, where in _rows(top, "categories", "category")
    }
    places = {key: place for place, key in enumerate(images)}
    sources = list(images.values())
    regions = reading.held(
        _region(one, where, places, sources, names) for one, where in _rows(top, "annotations", "annotation")
    )
    renamed = zip(unique(source.name for source in sources), sources, strict=True)
    return Result(tuple(Source(name, source.size) for name, source in renamed), regions)


def _rows(top: Mapping[str, Any], key: str, what: str) -> list[tuple[Mapping[str, Any], str]]:
    """The objects of a list, each with what to call it."""
    names = [
        f"COCO's {what} {n}" for n in range(1, len(reading.entries(top.get(key), f"COCO's '{key}'")) + 1)
    ]
    return [(reading.record(row, name), name) for row, name in zip(top[key], names, strict=True)]


def _id(row: Mapping[str, Any], key: str, where: str) -> Id:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise BadInput(f"{where} has a number or a name under '{key}', found none: correct the file.")
    return value


def _source(image: Mapping[str, Any], where: str) -> Source:
    width = reading.side(image.get("width"), f"{where}, 'width',")
    height = reading.side(image.get("height"), f"{where}, 'height',")
    return Source(reading.words(image.get("file_name"), f"{where}, 'file_name',"), (width, height))


def _region(
    row: Mapping[str, Any],
    where: str,
    places: Mapping[Id, int],
    sources: Sequence[Source],
    names: Mapping[Id, str],
) -> Region:
    place, name = places.get(_id(row, "image_id", where)), names.get(_id(row, "category_id", where))
    if place is None or name is None:
        raise BadInput(f"{where} names an image and a category of its file, found others: correct the file.")
    text = row.get("utf8_string")
    region = Region(
        name,
        _shape(row, sources[place].size, where),
        place,
        text=None if text is None else reading.words(text, f"{where}, 'utf8_string',"),
        score=reading.score(row.get("score"), f"{where}, 'score',"),
    )
    return with_class(region, name)


def _shape(row: Mapping[str, Any], size: Size, where: str) -> Shape:
    outline = row.get("segmentation")
    if isinstance(outline, Mapping):
        return _mask(outline, f"{where}, 'segmentation',")
    if outline:
        return _outlines(reading.entries(outline, f"{where}, 'segmentation',"), size, where)
    keypoints = reading.numbers(row.get("keypoints") or [], f"{where}, 'keypoints',")
    if len(keypoints) == 3:
        return reading.point(keypoints[:2], size)
    return reading.box(reading.numbers(row.get("bbox"), f"{where}, 'bbox',", 4), size, f"{where}, 'bbox',")


def _outlines(rings: Sequence[Any], size: Size, where: str) -> Shape:
    where = f"{where}, 'segmentation',"
    flat = [reading.numbers(ring, where) for ring in rings]
    if any(len(ring) % 2 for ring in flat):
        raise BadInput(f"{where} holds x and y in turn, found an odd number of them: correct the file.")
    shapes = [reading.polygon(list(zip(ring[::2], ring[1::2], strict=True)), size, where) for ring in flat]
    return shapes[0] if len(shapes) == 1 else _filled([shape.points for shape in shapes], size, where)


def _filled(rings: Sequence[Sequence[Point]], size: Size, where: str) -> Mask:
    """Several outlines of one object as a mask; they fill where they overlap."""
    from PIL import Image, ImageDraw

    _check_pixels(size[0] * size[1], where)
    drawn = Image.new("1", size)
    for ring in rings:
        ImageDraw.Draw(drawn).polygon([(point.x * size[0], point.y * size[1]) for point in ring], fill=1)
    left, top, right, bottom = drawn.getbbox() or (0, 0, 1, 1)
    return mask_at(top, left, np.array(drawn)[top:bottom, left:right], size)


def _mask(code: Mapping[str, Any], where: str) -> Mask:
    """A run-length code, plain or compressed as pycocotools writes it."""
    height, width = (reading.side(one, where) for one in reading.numbers(code.get("size"), where, 2))
    _check_pixels(width * height, where)
    counts = code.get("counts")
    runs = _unpacked(counts, where) if isinstance(counts, str) else _plain(counts, where)
    if min(runs, default=0) < 0 or sum(runs) != width * height:
        raise BadInput(f"{where} has runs that add up to {width} × {height} pixels, found {sum(runs):,}.")
    part = from_runs(runs, (width, height))
    if part is None:
        return empty_mask()
    left, top, columns = part
    return mask_at(top, left, columns.T, (width, height))


def _check_pixels(count: int, where: str) -> None:
    if count > LARGEST_MASK:
        raise BadInput(f"{where} is a mask of at most {LARGEST_MASK:,} pixels, found {count:,}.")


def _plain(counts: Any, where: str) -> list[int]:
    return [int(run) for run in reading.numbers(counts, where)]


def _unpacked(counts: str, where: str) -> list[int]:
    """Numbers of five bits a character, each less the one before the last (maskApi.c, rleFrString)."""
    runs: list[int] = []
    value = shift = 0
    for code in (ord(character) - 48 for character in counts):
        if not 0 <= code < 64 or shift > 30:
            raise BadInput(f"{where} has counts as pycocotools writes them, found others: export it again.")
        value |= (code & 31) << shift
        shift += 5
        if not code & 32:
            value -= (1 << shift) if code & 16 else 0  # the highest bit is the sign
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs
