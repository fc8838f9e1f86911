"""Where labels go: beside their object, off the others, inside the image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Boxes = npt.NDArray[np.float64]  # (n, 4): left, top, right, bottom in pixels

# What a place costs. Hiding the object itself is worst after hiding another label; among
# equals the earlier place in `_around` wins.
_LABEL, _OWN, _OTHER, _GROUND, _ORDER = 6.0, 4.0, 2.0, 0.3, 0.01
_TOO_MUCH = 2.5  # about a quarter of another label, or all of another object


def place(
    sizes: Sequence[tuple[int, int]],
    objects: Sequence[tuple[float, float, float, float]],
    owners: Sequence[int],
    canvas: tuple[int, int],
) -> list[tuple[int, int] | None]:
    """Choose a place for each label.

    Args:
        sizes: (width, height) of each label in pixels, none larger than the canvas.
        objects: boxes in pixels of all that should stay in sight.
        owners: for each label the index of the object that it names.
        canvas: (width, height) of the image.

    Returns:
        The left top corner of each label, or None where every place would cover other
        labels or objects so far that both were lost: a crowd tells its labels by colour.
        Greedy: small objects choose first, because they have the fewest places.
    """
    boxes = np.asarray(objects, dtype=np.float64).reshape(-1, 4)
    taken = np.zeros((len(sizes), 4))
    done = 0
    corners: list[tuple[int, int] | None] = [None] * len(sizes)
    for label in sorted(range(len(sizes)), key=lambda label: float(_areas(boxes[owners[label]]))):
        places = _around(boxes[owners[label]], sizes[label], canvas)
        costs = _costs(places, owners[label], boxes, taken[:done])
        best = int(np.argmin(costs))
        if costs[best] > _TOO_MUCH:
            continue
        taken[done] = places[best]
        done += 1
        corners[label] = (int(places[best][0]), int(places[best][1]))
    return corners


def _around(box: npt.NDArray[np.float64], size: tuple[int, int], canvas: tuple[int, int]) -> Boxes:
    """The places that come into question, best first: (n, 4) pixel boxes inside the canvas."""
    (x0, y0, x1, y1), (width, height) = np.round(box), size
    middle_x, middle_y = (x0 + x1 - width) / 2, (y0 + y1 - height) / 2
    above, below, left, right = y0 - height, y1, x0 - width, x1
    corners = np.array(
        [
            (x0, above), (x1 - width, above), (x0, below), (x1 - width, below),
            (right, y0), (left, y0), (right, y1 - height), (left, y1 - height),
            (right, middle_y), (left, middle_y), (middle_x, above), (middle_x, below),
            (right, above), (left, above), (right, below), (left, below),
            (x0, y0), (x1 - width, y0), (x0, y1 - height), (x1 - width, y1 - height),
        ]
    )  # fmt: skip
    corners = np.clip(np.round(corners), 0, np.array(canvas) - size)
    return np.concatenate([corners, corners + size], axis=1)


def _costs(places: Boxes, index: int, boxes: Boxes, taken: Boxes) -> npt.NDArray[np.float64]:
    area = _areas(places)
    hidden = _overlaps(places, boxes)
    share = hidden / np.maximum(_areas(boxes), 1.0)
    own = share[:, index].copy()
    share[:, index] = 0.0
    costs = _ORDER * np.arange(len(places)) + _OWN * own + _OTHER * share.sum(axis=1)
    costs += _GROUND * np.minimum(hidden.sum(axis=1) / area, 1.0)
    if len(taken):
        covered = _overlaps(places, taken)
        costs += _LABEL * covered.sum(axis=1) / area + (covered > 0).any(axis=1)
    return np.asarray(costs)


def _areas(boxes: Boxes) -> npt.NDArray[np.float64]:
    return np.asarray((boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]))


def _overlaps(a: Boxes, b: Boxes) -> npt.NDArray[np.float64]:
    """(len(a), len(b)) areas that two sets of boxes share."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2))
