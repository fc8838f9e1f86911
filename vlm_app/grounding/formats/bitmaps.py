"""Masks as runs of pixels, which COCO and Label Studio both write, and back.

Bitmaps here are (lines, length): the rows of an image for Label Studio, its columns for
COCO. Runs are the lengths of 0 and 1 in turn over all lines, starting with 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vlm_app.types import Box, Mask

Bitmap = npt.NDArray[np.bool_]


def pixels_of(mask: Mask, size: tuple[int, int]) -> tuple[tuple[int, int], Bitmap]:
    """A mask as it is drawn on an image of (width, height): its left top pixel and its rows there."""
    # OpenCV and supervision take more than a second to import: not before there is a mask.
    from vlm_app.grounding.areas import stencil

    corner, bitmap = stencil(mask, size)
    return corner, bitmap.astype(np.bool_)


def runs_of(bitmap: Bitmap, start: tuple[int, int], shape: tuple[int, int]) -> list[int]:
    """The runs of a whole image of `shape` (lines, length) with a bitmap at (line, offset)."""
    steps = np.diff(np.pad(bitmap, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    lines, offsets = np.nonzero(steps)
    edges = (lines + start[0]) * shape[1] + offsets + start[1]
    ends, starts = edges[1:-1:2], edges[2::2]
    apart = ends != starts  # a run that fills its line goes on in the next
    keep = np.concatenate(([True], np.repeat(apart, 2), [True]))[: len(edges)]
    runs: list[int] = np.diff(edges[keep], prepend=0, append=shape[0] * shape[1]).tolist()
    return runs if runs[-1] or len(runs) == 1 else runs[:-1]


def from_runs(runs: Sequence[int], shape: tuple[int, int]) -> tuple[int, int, Bitmap] | None:
    """The part of an image of `shape` that has set pixels: (line, offset, bitmap), or None."""
    edges = np.cumsum(np.asarray(runs, dtype=np.int64))
    starts, ends = edges[:-1:2], edges[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts]
    if not len(starts):
        return None
    first, last = int(starts[0]) // shape[1], int(ends[-1] - 1) // shape[1]
    flat = np.zeros((last - first + 1) * shape[1], np.bool_)
    for start, end in zip(starts - first * shape[1], ends - first * shape[1], strict=True):
        flat[start:end] = True
    part = flat.reshape(-1, shape[1])
    filled = np.flatnonzero(part.any(axis=0))
    left, right = int(filled[0]), int(filled[-1]) + 1
    return first, left, part[:, left:right]


def mask_at(top: int, left: int, rows: Bitmap, size: tuple[int, int]) -> Mask:
    """A mask of pixel rows whose left top pixel is given, on an image of (width, height)."""
    height, width = rows.shape
    box = Box(left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1])
    return Mask(box, (width, height), rows.astype(np.uint8).tobytes())


def empty_mask() -> Mask:
    """A mask of which nothing is set."""
    return Mask(Box(0, 0, 1, 1), (1, 1), b"\0")
