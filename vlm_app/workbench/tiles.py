"""Tiles of a large image, and one list of regions from what was found in each of them.

Tiles overlap by a fifth of their side, so that what is smaller than that lies whole in one of
them. A region that ends at a tile's inner border was probably cut there: it goes when another
look has more of it, and its halves are joined when none has. What two looks found twice is found
with supervision's non-maximum suppression. Its `InferenceSlicer` does not fit here: it runs to its
end once begun, tells nothing on the way, and knows neither words nor points, nor which of two
regions was cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, hypot
from typing import Any

import numpy as np

from vlm_app.grounding import bounds, iou
from vlm_app.grounding.views import placed
from vlm_app.types import Box, Point, Region

MOST_TILES = 400  # of one image: more would take a small model an hour
OVERLAP = 0.2  # of a tile's side, shared with the tile beside it
_BORDER = 0.02  # of a tile's side: what ends so near to an inner border was probably cut by it
_SAME = 0.5  # IoU from which two regions with one label are one
_SAME_PLACE = 0.75  # IoU from which two looks have seen one thing, whatever they call it
_COVERED = 0.5  # of a cut region's area, inside another: it is a piece of that
_NEAR = 0.06  # of a tile's side: two looks that point so near to each other mean one thing
_CLEAR = 0.1  # of a part's side, around what can be judged in it
_AGAIN = 0.3  # IoU from which a second look has seen the same
_WHOLE, _CUT = 1, 0  # ranks; a tile's region that was not cut has a higher one

Numbers = np.ndarray[Any, Any]
Area = tuple[int, int, int, int]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class Look:
    """What was found in one part of an image of `size` pixels; `area` is the part."""

    area: Area
    size: tuple[int, int]
    regions: tuple[Region, ...]

    @property
    def view(self) -> Box:
        """Its part, in fractions of the image."""
        (x0, y0, x1, y1), (width, height) = self.area, self.size
        return Box(x0 / width, y0 / height, x1 / width, y1 / height)

    @property
    def whole(self) -> bool:
        return self.area == (0, 0, *self.size)


def tile_side(size: tuple[int, int], seen: tuple[int, int] | None) -> int:
    """The side of a tile in pixels: what the model sees of an image, so that nothing is made smaller.

    At most such that two of them are needed along the longer side: a model that sees the whole in
    full size looks at its halves.
    """
    half = ceil(max(size) / (2 - OVERLAP))
    return max(min(min(seen) if seen else half, half), 1)


def areas(size: tuple[int, int], side: int) -> tuple[Area, ...]:
    """Tiles that cover an image, row by row, of equal size and evenly spread."""
    return tuple(
        (left, top, min(left + side, size[0]), min(top + side, size[1]))
        for top in _starts(size[1], side)
        for left in _starts(size[0], side)
    )


def around(box: Box, size: tuple[int, int], side: int) -> Area:
    """The part of an image with a box in its middle: a tile, or twice the box where that is more."""
    width, height = size
    longer = max((box.x1 - box.x0) * width, (box.y1 - box.y0) * height)
    reach = max(side, ceil(2 * longer))
    left = _middle((box.x0 + box.x1) / 2 * width, reach, width)
    top = _middle((box.y0 + box.y1) / 2 * height, reach, height)
    return (left, top, min(left + reach, width), min(top + reach, height))


def cover(size: tuple[int, int], seen: tuple[int, int] | None) -> tuple[int, tuple[Area, ...]]:
    """The side of the tiles, and the tiles: larger ones where there would be more than `MOST_TILES`."""
    side = tile_side(size, seen)
    tiles = areas(size, side)
    while len(tiles) > MOST_TILES:
        side = ceil(1.1 * side)
        tiles = areas(size, side)
    return side, tiles


def _middle(centre: float, reach: int, length: int) -> int:
    return max(min(round(centre - reach / 2), length - reach), 0)


def shows(area: Area, box: Box, size: tuple[int, int], needed: Area) -> bool:
    """Whether a part shows a box with a tenth of the part around it, or to the image's border.

    It does so as large as `needed`, the part that was meant, at least.
    """
    if max(area[2] - area[0], area[3] - area[1]) > max(needed[2] - needed[0], needed[3] - needed[1]):
        return False
    x0, y0, x1, y1 = area
    left, top, right, bottom = box.x0 * size[0], box.y0 * size[1], box.x1 * size[0], box.y1 * size[1]
    across, down = _CLEAR * (x1 - x0), _CLEAR * (y1 - y0)
    return (
        (left - x0 >= across or x0 == 0 <= left)
        and (top - y0 >= down or y0 == 0 <= top)
        and (x1 - right >= across or x1 == size[0] >= right)
        and (y1 - bottom >= down or y1 == size[1] >= bottom)
    )


def _starts(length: int, side: int) -> list[int]:
    if length <= side:
        return [0]
    shared = int(OVERLAP * side)
    count = ceil((length - shared) / (side - shared))
    return [round(place * (length - side) / (count - 1)) for place in range(count)]


# --- merging ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Found:
    """A region in fractions of the whole image, the look that found it, and how much it counts."""

    region: Region
    look: int
    rank: float
    cut: bool
    side: float  # of its look, in pixels


def merged(looks: Sequence[Look]) -> tuple[tuple[Region, ...], int]:
    """The regions of all looks, each thing once, and how many were left out for being there twice."""
    found = [each for number, look in enumerate(looks) for each in _of_look(number, look)]
    points = [one for one in found if isinstance(one.region.shape, Point)]
    kept = _joined(_without_pieces([one for one in found if one not in points]))
    kept = _suppressed(kept) + _apart(points, looks)
    order = {id(one): place for place, one in enumerate(found)}
    kept.sort(key=lambda one: order.get(id(one), len(found)))
    return tuple(one.region for one in kept), len(found) - len(kept)


def seen_again(region: Region, look: Look) -> Region | None:
    """A region as a second look has it, which shows it in its middle; None where it has no such.

    A point stays where it was: a second one is no better than the first.
    """
    size, shape = look.size, region.shape
    others = [replace(one, shape=placed(one.shape, look.view), span=None) for one in look.regions]
    if isinstance(shape, Point):
        reach = 2 * _NEAR * min(look.area[2] - look.area[0], look.area[3] - look.area[1])
        points = [one.shape for one in others if isinstance(one.shape, Point)]
        return region if any(_distance(shape, point, size) <= reach for point in points) else None
    box = bounds(shape)
    scored = [(iou(one.shape, box), place) for place, one in enumerate(others)]
    # A piece that a border has cut is much smaller than what it is a piece of.
    pieces = [(_share(box, bounds(one.shape)), place) for place, one in enumerate(others)]
    likely = [one for one in scored if one[0] >= _AGAIN] or [one for one in pieces if one[0] >= 1 - _AGAIN]
    return others[max(likely)[1]] if likely else None


def _share(one: Box, other: Box) -> float:
    """How much of `one` lies in `other`."""
    return float(_shares(np.array([one.xyxy]), np.array([other.xyxy]))[0, 0])


def _of_look(number: int, look: Look) -> list[_Found]:
    width, height = look.area[2] - look.area[0], look.area[3] - look.area[1]
    found: list[_Found] = []
    for region in look.regions:
        box = bounds(region.shape)
        gaps = _gaps(box, look)
        cut = min(gaps) < _BORDER
        rank = _WHOLE if look.whole else _CUT if cut else 2 + min(min(gaps), 1.0)
        shape = placed(region.shape, look.view)
        found.append(_Found(replace(region, shape=shape, span=None), number, rank, cut, min(width, height)))
    return found


def _gaps(box: Box, look: Look) -> tuple[float, float, float, float]:
    """How far a box stays from its look's borders, in fractions of it; 1 where the image ends."""
    (x0, y0, x1, y1), (width, height) = look.area, look.size
    return (
        box.x0 if x0 > 0 else 1.0,
        box.y0 if y0 > 0 else 1.0,
        1 - box.x1 if x1 < width else 1.0,
        1 - box.y1 if y1 < height else 1.0,
    )


def _without_pieces(found: list[_Found]) -> list[_Found]:
    """Without what a border has cut, where another look has it whole, whatever it calls it."""
    pieces, entire = [one for one in found if one.cut], [one for one in found if not one.cut]
    if not pieces or not entire:
        return found
    inside = _shares(_boxes(pieces), _boxes(entire)) >= _COVERED
    elsewhere = np.array([[other.look != one.look for other in entire] for one in pieces])
    gone = {id(one) for one, covered in zip(pieces, (inside & elsewhere).any(axis=1), strict=True) if covered}
    return [one for one in found if id(one) not in gone]


def _boxes(found: Sequence[_Found]) -> Numbers:
    """Corners as rows: (regions, 4)."""
    return np.array([bounds(one.region.shape).xyxy for one in found]).reshape(-1, 4)


def _shares(ones: Numbers, others: Numbers) -> Numbers:
    """How much of each box lies in each other one, from 0 to 1: (ones, others)."""
    low = np.maximum(ones[:, None, :2], others[None, :, :2])
    high = np.minimum(ones[:, None, 2:], others[None, :, 2:])
    areas = (ones[:, 2:] - ones[:, :2]).prod(axis=1)
    shared = (high - low).clip(0).prod(axis=2)
    return np.asarray(shared / np.maximum(areas, 1e-12)[:, None])


def _joined(found: list[_Found]) -> list[_Found]:
    """Boxes that were cut in every tile, put together again from their halves."""
    kept: list[_Found] = []
    for one in found:
        half = next((other for other in kept if _halves(one, other)), None)
        if half is None:
            kept.append(one)
        else:
            kept[kept.index(half)] = replace(
                half, region=replace(half.region, shape=_around(half.region.shape, one.region.shape))
            )
    return kept


def _halves(one: _Found, other: _Found) -> bool:
    """Whether both are pieces of one thing: cut, with one label, side by side and lapping over."""
    shapes = one.region.shape, other.region.shape
    if not (one.cut and other.cut) or one.look == other.look or one.region.label != other.region.label:
        return False
    if not all(isinstance(shape, Box) for shape in shapes):
        return False
    a, b = (bounds(shape) for shape in shapes)
    across = min(a.x1, b.x1) - max(a.x0, b.x0)
    down = min(a.y1, b.y1) - max(a.y0, b.y0)
    if min(across, down) <= 0:
        return False
    beside = down / max(min(a.y1 - a.y0, b.y1 - b.y0), 1e-9)
    above = across / max(min(a.x1 - a.x0, b.x1 - b.x0), 1e-9)
    return max(beside, above) > 0.7


def _around(one: object, other: object) -> Box:
    assert isinstance(one, Box) and isinstance(other, Box)
    return Box(min(one.x0, other.x0), min(one.y0, other.y0), max(one.x1, other.x1), max(one.y1, other.y1))


def _suppressed(found: list[_Found]) -> list[_Found]:
    """Non-maximum suppression: by label, then between looks whatever the label."""
    import supervision as sv

    if not found:
        return []
    labels = {label: number for number, label in enumerate({one.region.label: None for one in found})}
    ranks = [one.rank + (one.region.score or 0.0) for one in found]
    kinds = [labels[one.region.label] for one in found]
    keep = sv.box_non_max_suppression(np.column_stack([_boxes(found), ranks, kinds]), _SAME)
    ranked = sorted((one for one, kept in zip(found, keep, strict=True) if kept), key=lambda one: -one.rank)
    boxes, looks = _boxes(ranked), np.array([one.look for one in ranked])
    same = (sv.box_iou_batch(boxes, boxes) >= _SAME_PLACE) & (looks[:, None] != looks[None])
    once: list[int] = []
    for place in range(len(ranked)):
        if not same[place, once].any():
            once.append(place)
    return [ranked[place] for place in once]


def _apart(points: list[_Found], looks: Sequence[Look]) -> list[_Found]:
    """Points of which no two mean one thing.

    A point tells no size, so the tiles alone decide where they have found any; two of them mean
    one thing where both tiles reach.
    """
    tiles = [one for one in points if not looks[one.look].whole]
    kept: list[_Found] = []
    for one in sorted(tiles, key=lambda one: -one.rank):
        if not any(one.look != other.look and _near(one, other, looks[0].size) for other in kept):
            kept.append(one)
    return kept or points


def _near(one: _Found, other: _Found, size: tuple[int, int]) -> bool:
    a, b = one.region.shape, other.region.shape
    assert isinstance(a, Point) and isinstance(b, Point)
    return _distance(a, b, size) <= _NEAR * min(one.side, other.side)


def _distance(a: Point, b: Point, size: tuple[int, int]) -> float:
    """In pixels."""
    return hypot((a.x - b.x) * size[0], (a.y - b.y) * size[1])
