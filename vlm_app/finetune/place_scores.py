"""Comparing regions: which of those that an answer names are the right ones."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence

from vlm_app.grounding import bounds, iou, match
from vlm_app.types import Mask, Point, Polygon, Region, Shape

NEAR = 0.05  # of the image: how far from a true point another may lie
_ARTICLE = re.compile(r"\A(?:a|an|the)\s+")


def overlaps(found: Sequence[Region], truth: Sequence[Region], labelled: bool) -> list[float]:
    """The IoU of each pair of regions that belong together: of one image, and label, at 0.5 or more."""
    pairs = []
    for mine, theirs in _grouped(found, truth, labelled):
        shapes, others = [one.shape for one in mine], [one.shape for one in theirs]
        pairs += [iou(shapes[i], others[j]) for i, j in match(shapes, others, 0.5)]
    return pairs


def hits(found: Sequence[Region], truth: Sequence[Region], labelled: bool) -> int:
    """How many true regions have a point of their own: inside them, or within 5 % of a true point."""
    count = 0
    for mine, theirs in _grouped(found, truth, labelled):
        points = [_middle(one.shape) for one in mine]
        count += _matched([[_hit(point, one.shape) for one in theirs] for point in points])
    return count


def plain_label(label: str) -> str:
    """A label as it is compared: without case, article, double spaces and stops."""
    return _ARTICLE.sub("", " ".join(label.casefold().split()).strip(".,;: "))


def _grouped(
    found: Sequence[Region], truth: Sequence[Region], labelled: bool
) -> list[tuple[list[Region], list[Region]]]:
    groups = defaultdict[tuple[int, str], tuple[list[Region], list[Region]]](lambda: ([], []))
    for side, regions in enumerate((found, truth)):
        for one in regions:
            groups[(one.image, plain_label(one.label) if labelled else "")][side].append(one)
    return list(groups.values())


def _middle(shape: Shape) -> Point:
    around = bounds(shape)
    return Point((around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2)


def _hit(point: Point, truth: Shape) -> bool:
    if isinstance(truth, Point):
        return math.hypot(point.x - truth.x, point.y - truth.y) <= NEAR
    around = bounds(truth)
    within = around.x0 <= point.x <= around.x1 and around.y0 <= point.y <= around.y1
    if isinstance(truth, Polygon):
        return within and _enclosed(point, truth)
    if isinstance(truth, Mask):
        return within and _covered(point, truth)
    return within


def _enclosed(point: Point, outline: Polygon) -> bool:
    """Whether a ray to the right crosses the outline an odd number of times."""
    inside = False
    for one, other in zip(outline.points, (*outline.points[1:], outline.points[0]), strict=True):
        if (one.y > point.y) != (other.y > point.y):
            crossing = one.x + (point.y - one.y) / (other.y - one.y) * (other.x - one.x)
            inside ^= point.x < crossing
    return inside


def _covered(point: Point, mask: Mask) -> bool:
    (width, height), box = mask.size, mask.box
    column = min(int((point.x - box.x0) / ((box.x1 - box.x0) or 1) * width), width - 1)
    row = min(int((point.y - box.y0) / ((box.y1 - box.y0) or 1) * height), height - 1)
    return bool(mask.bits[row * width + column])


def _matched(fits: Sequence[Sequence[bool]]) -> int:
    """The most pairs in which each point has one region and each region one point."""
    owner: dict[int, int] = {}

    def place(point: int, tried: set[int]) -> bool:
        for region, fit in enumerate(fits[point]):
            if fit and region not in tried:
                tried.add(region)
                if region not in owner or place(owner[region], tried):
                    owner[region] = point
                    return True
        return False

    return sum(place(point, set()) for point in range(len(fits)))
