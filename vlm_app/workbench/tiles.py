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

from vlm_app.grounding import bounds, iou
from vlm_app.grounding.views import placed
from vlm_app.types import Box, Point, Region

OVERLAP = 0.2  # of a tile's side, shared with the tile beside it
_BORDER = 0.02  # of a tile's side: what ends so near to an inner border was probably cut by it
_SAME = 0.5  # IoU from which two regions with one label are one
_SAME_PLACE = 0.75  # IoU from which two looks have seen one thing, whatever they call it
_COVERED = 0.5  # of a cut region's area, inside another: it is a piece of that
_NEAR = 0.06  # of a tile's side: two looks that point so near to each other mean one thing
_CLEAR = 0.1  # of a part's side, around what can be judged in it
_AGAIN = 0.3  # IoU from which a second look has seen the same
_WHOLE, _CUT = 1, 0  # ranks; a tile's region that was not cut has a higher one

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


def _middle(centre: float, reach: int, length: int) -> int:
    return max(min(round(centre - reach / 2), length - reach), 0)


def shows(area: Area, box: Box, size: tuple[int, int]) -> bool:
    """Whether a part shows a box with a tenth of the part around it, or to the image's border."""
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
    inside = [(_shared(bounds(one.shape), box), place) for place, one in enumerate(others)]
    best = max([one for one in scored if one[0] >= _AGAIN] or [(-1.0, -1)])
    if best[1] < 0:
        best = max([one for one in inside if one[0] >= 1 - _AGAIN] or [(-1.0, -1)])
    return None if best[1] < 0 else others[best[1]]


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
    entire = [one for one in found if not one.cut]
    return [
        one
        for one in found
        if not (one.cut and any(other.look != one.look and _covers(other, one) for other in entire))
    ]


def _covers(other: _Found, one: _Found) -> bool:
    return _shared(bounds(other.region.shape), bounds(one.region.shape)) >= _COVERED


def _shared(other: Box, one: Box) -> float:
    """How much of `one` lies in `other`, from 0 to 1."""
    width = min(one.x1, other.x1) - max(one.x0, other.x0)
    height = min(one.y1, other.y1) - max(one.y0, other.y0)
    return max(width, 0.0) * max(height, 0.0) / one.area if one.area else 0.0


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
    import numpy as np
    import supervision as sv

    if not found:
        return []
    labels = {label: number for number, label in enumerate({one.region.label: None for one in found})}
    rows = [
        (*bounds(one.region.shape).xyxy, one.rank + (one.region.score or 0.0), labels[one.region.label])
        for one in found
    ]
    keep = sv.box_non_max_suppression(np.array(rows), _SAME)
    ranked = sorted((one for one, kept in zip(found, keep, strict=True) if kept), key=lambda one: -one.rank)
    once: list[_Found] = []
    for one in ranked:
        if not any(
            other.look != one.look and iou(other.region.shape, one.region.shape) >= _SAME_PLACE
            for other in once
        ):
            once.append(one)
    return once


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
