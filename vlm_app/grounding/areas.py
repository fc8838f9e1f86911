"""Polygons and masks: their outlines and their translucent fills."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import supervision as sv

from vlm_app.grounding.palette import DARK, LIGHT, ink, rgb
from vlm_app.types import Mask, Polygon

Scene = npt.NDArray[np.uint8]  # (height, width, 3), blue first as OpenCV and supervision draw
Ring = npt.NDArray[np.float64]  # (n, 2) corners in pixels, x first
Area = tuple[str, list[Ring]]  # a hex colour and the rings of one region

HAIR = 0.65  # opacity of hairlines: enough to stand out, not enough to look like a frame
_FILL = 0.35  # opacity inside
_SHIFT = 4  # OpenCV takes corners in sixteenths of a pixel
_STEP = 0.6  # corners of a bitmap's outline that move it by less, in pixels, are left out


def rings(shape: Polygon | Mask, size: tuple[int, int], holes: bool = True) -> list[Ring]:
    """The outlines of a shape on an image of (width, height) pixels; a mask can have several.

    Those of the holes in a mask are among them, or left out.
    """
    if isinstance(shape, Polygon):
        return [np.array([(point.x, point.y) for point in shape.points]) * size]
    (left, top), bitmap = stencil(shape, size)
    mode = cv2.RETR_CCOMP if holes else cv2.RETR_EXTERNAL
    # A border of zeros, so that a mask at the edge of its box has a closed outline.
    found, _ = cv2.findContours(np.pad(bitmap, 1), mode, cv2.CHAIN_APPROX_NONE)
    smooth = (cv2.approxPolyDP(ring, _STEP, True).reshape(-1, 2) for ring in found)
    return [ring + np.array((left - 0.5, top - 0.5)) for ring in smooth]


def stencil(mask: Mask, size: tuple[int, int]) -> tuple[tuple[int, int], npt.NDArray[np.uint8]]:
    """A mask's left top pixel and its bits there, enlarged with smooth edges."""
    corners = np.round(np.array(mask.box.xyxy) * (*size, *size)).astype(int)
    left, top = min(corners[0], size[0] - 1), min(corners[1], size[1] - 1)
    target = (int(max(corners[2] - left, 1)), int(max(corners[3] - top, 1)))
    bits = np.frombuffer(mask.bits, np.uint8).reshape(mask.size[::-1]) * np.uint8(255)
    return (int(left), int(top)), (_resized(bits, target) > 127).astype(np.uint8)


def _resized(bits: npt.NDArray[np.uint8], target: tuple[int, int]) -> npt.NDArray[np.uint8]:
    across, down = target[0] / bits.shape[1], target[1] / bits.shape[0]
    if min(across, down) <= 1:
        return np.asarray(cv2.resize(bits, target, interpolation=cv2.INTER_AREA))
    # Blurring rounds off the steps of the coarse bitmap; half a cell still keeps a line
    # one cell wide. Eight times as fine is enough for that: a wide blur is slow.
    across, down = min(across, 8.0), min(down, 8.0)
    finer = cv2.resize(bits, None, fx=across, fy=down, interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(finer, (0, 0), 0.45 * across, None, 0.45 * down)
    return np.asarray(cv2.resize(smooth, target, interpolation=cv2.INTER_LINEAR))


def fill(scene: Scene, areas: Sequence[Area]) -> Scene:
    """Tint the inside of all areas, each colour once where its areas overlap."""
    for colour in dict.fromkeys(colour for colour, _ in areas):
        inside = np.zeros(scene.shape[:2], np.uint8)
        for outlines in (outlines for other, outlines in areas if other == colour):
            cv2.fillPoly(inside, [_fixed(ring) for ring in outlines], 1, cv2.LINE_8, _SHIFT)
        if inside.any():
            scene = _tint(scene, inside.astype(bool), colour)
    return scene


def _tint(scene: Scene, inside: npt.NDArray[np.bool_], colour: str) -> Scene:
    # One bitmap for each colour and not for each region: supervision takes bitmaps of
    # the image's size, and 500 of them on a large image need gigabytes.
    box = sv.mask_to_xyxy(inside[None])
    annotator = sv.MaskAnnotator(sv.Color.from_hex(colour), _FILL, sv.ColorLookup.INDEX)
    return np.asarray(annotator.annotate(scene, sv.Detections(xyxy=box, mask=inside[None])))


def stroke(scene: Scene, areas: Sequence[Area], line: int, hairline: int) -> None:
    """Draw outlines into the scene, with a contrasting hairline on both sides.

    Not with supervision's PolygonAnnotator: it takes the full bitmaps described above and
    draws along their pixels without smoothing.
    """
    for shade in (DARK, LIGHT):
        under = [area for area in areas if ink(area[0]) == shade]
        cover = np.zeros(scene.shape[:2], np.uint8)
        for _, outlines in under:
            _lines(cover, outlines, 255, line + 2 * hairline)
        if under:
            blend(scene, cover * HAIR, shade)
    for colour, outlines in areas:
        _lines(scene, outlines, rgb(colour)[::-1], line)


def blend(scene: Scene, cover: npt.NDArray[np.floating], colour: str) -> None:
    """Mix a colour into the pixels that `cover` (height, width; 0..255) holds."""
    where = cover > 0
    share = cover[where][:, None] / 255
    scene[where] = np.round(scene[where] * (1 - share) + np.array(rgb(colour)[::-1]) * share)


def _lines(target: Scene, outlines: list[Ring], shade: int | tuple[int, ...], width: int) -> None:
    # OpenCV 5 draws a line one or two pixels wider than it is told.
    corners = [_fixed(ring) for ring in outlines]
    cv2.polylines(target, corners, True, shade, max(width - 1, 1), cv2.LINE_AA, _SHIFT)


def _fixed(ring: Ring) -> npt.NDArray[np.int32]:
    """Corners as OpenCV takes them: whole sixteenths, a pixel's centre at its index."""
    return np.round((ring - 0.5) * (1 << _SHIFT)).astype(np.int32)
