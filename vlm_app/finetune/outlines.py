"""Masks as outlines, for families that write those."""

from __future__ import annotations

from vlm_app.families import Size
from vlm_app.grounding import bounds
from vlm_app.types import Box, Mask, Point, Polygon

_MOST = 64  # corners of an outline: more make an answer that nobody waits for


def outline(mask: Mask, size: Size) -> Polygon | Box:
    """The outline of a mask's largest part on an image of (width, height) pixels, without its holes."""
    import cv2
    import numpy as np

    from vlm_app.grounding.areas import rings

    found = rings(mask, size, holes=False)
    if not found:
        return bounds(mask)
    ring = max(found, key=lambda one: cv2.contourArea(one.astype(np.float32))).astype(np.float32)
    step = 0.5
    while len(ring) > _MOST:
        ring, step = cv2.approxPolyDP(ring, step, True).reshape(-1, 2), step * 2
    if len(ring) < 3:
        return bounds(mask)
    fractions = np.clip(ring / np.array(size), 0.0, 1.0)
    return Polygon(tuple(Point(float(x), float(y)) for x, y in fractions))
