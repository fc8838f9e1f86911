"""Comparing shapes, in fractions of the image."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_app.types import Box, Mask, Point, Shape


def bounds(shape: Shape) -> Box:
    """The smallest upright box around a shape. A point's is empty, at the point.

    A mask's is the box around its set bits; where none is set, the box it is laid over.
    """
    if isinstance(shape, Box):
        return shape
    if isinstance(shape, Point):
        return Box(shape.x, shape.y, shape.x, shape.y)
    if isinstance(shape, Mask):
        return _mask_bounds(shape)
    across, down = [point.x for point in shape.points], [point.y for point in shape.points]
    return Box(min(across), min(down), max(across), max(down))


def _mask_bounds(mask: Mask) -> Box:
    width, height = mask.size
    filled = [row for row in range(height) if any(mask.bits[row * width : (row + 1) * width])]
    if not filled:
        return mask.box
    columns = [column for column in range(width) if any(mask.bits[column::width])]
    x0, x1 = (_between(mask.box.x0, mask.box.x1, edge / width) for edge in (columns[0], columns[-1] + 1))
    y0, y1 = (_between(mask.box.y0, mask.box.y1, edge / height) for edge in (filled[0], filled[-1] + 1))
    return Box(x0, y0, x1, y1)


def _between(start: float, end: float, part: float) -> float:
    return min(start + (end - start) * part, end)


def iou(a: Shape, b: Shape) -> float:
    """Intersection over union of the bounding boxes of two shapes, 0 to 1.

    Polygons and masks are compared by their bounding boxes too, as detection metrics
    do. Two shapes without any area (points) have 1 where they coincide, 0 elsewhere.
    """
    first, second = bounds(a), bounds(b)
    width = min(first.x1, second.x1) - max(first.x0, second.x0)
    height = min(first.y1, second.y1) - max(first.y0, second.y0)
    shared = max(width, 0.0) * max(height, 0.0)
    union = first.area + second.area - shared
    if union <= 0.0:
        return 1.0 if first == second else 0.0
    return min(shared / union, 1.0)


def match(
    found: Sequence[Shape], truth: Sequence[Shape], threshold: float = 0.5
) -> tuple[tuple[int, int], ...]:
    """Pair found shapes with true ones, greedily by falling IoU.

    Args:
        found: what an answer names.
        truth: what is there.
        threshold: the least IoU of a pair.

    Returns:
        (index in `found`, index in `truth`) of each pair, best first; each index at most
        once. Among equals the lower index in `found`, then in `truth`, comes first.
    """
    scored = [
        (-overlap, i, j)
        for i, one in enumerate(found)
        for j, other in enumerate(truth)
        if (overlap := iou(one, other)) >= threshold and overlap > 0.0
    ]
    pairs: list[tuple[int, int]] = []
    used_found, used_truth = set[int](), set[int]()
    for _, i, j in sorted(scored):
        if i not in used_found and j not in used_truth:
            pairs.append((i, j))
            used_found.add(i)
            used_truth.add(j)
    return tuple(pairs)
