"""Regions drawn on a copy of their image: fills, outlines, points, labels, in this order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from vlm_app.grounding import areas, chips, layout
from vlm_app.grounding.areas import Scene
from vlm_app.grounding.palette import DARK, LIGHT, colours, ink, rgb
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Box, Mask, Point, Polygon, Region

PixelBox = tuple[int, int, int, int]  # left, top, right, bottom; the last two are not inside
Coloured = Sequence[tuple[Region, str]]

_SHIFT = 4  # OpenCV takes places in sixteenths of a pixel


@dataclass(frozen=True)
class Pen:
    """Sizes in pixels, so that a drawing looks the same at any resolution of its image."""

    line: int
    hairline: int
    dot: float  # radius
    em: int  # of the label font

    @classmethod
    def of(cls, size: tuple[int, int], count: int) -> Pen:
        """For an image of a size with a number of regions; a crowd is drawn finer."""
        side = math.sqrt(size[0] * size[1])
        finer = max(0.4, min(1.0, math.sqrt(24 / max(count, 1))))
        line = max(2, round(side / 280 * finer))
        return cls(line, max(1, round(line / 3)), max(5.0, 2.4 * line), max(12, round(side / 34 * finer)))

    @property
    def frame(self) -> int:
        """The width of an outline with its hairlines."""
        return self.line + 2 * self.hairline


def draw(image: Image.Image, regions: Sequence[Region]) -> Image.Image:
    """See `vlm_app.grounding.draw`."""
    scene = np.array(image.convert("RGB"))[:, :, ::-1].copy()
    pen = Pen.of(image.size, len(regions))
    coloured = list(zip(regions, colours(regions), strict=True))
    coloured.sort(key=lambda pair: -bounds(pair[0].shape).area)  # small ones on top of large ones
    outlined = [
        (colour, areas.rings(region.shape, image.size))
        for region, colour in coloured
        if isinstance(region.shape, Polygon | Mask)
    ]
    scene = areas.fill(scene, outlined)
    areas.stroke(scene, outlined, pen.line, pen.hairline)
    _frames(scene, coloured, pen)
    _dots(scene, coloured, pen)
    drawn = Image.fromarray(np.ascontiguousarray(scene[:, :, ::-1]))
    _labels(drawn, coloured, pen)
    return drawn


def _frames(scene: Scene, coloured: Coloured, pen: Pen) -> None:
    """Outline boxes just outside of what they hold, a contrasting hairline on both sides.

    Not with supervision's BoxAnnotator: it draws on the box's edge, half of it over the
    object and at the border half of it outside the image, and the widths that OpenCV 5
    gives to a line are one to three pixels off.
    """
    for region, colour in coloured:
        if isinstance(region.shape, Box):
            outer = _outset(_pixels(region.shape, scene), pen.frame, scene)
            line = _inset(outer, pen.hairline)
            _band(scene, outer, pen.hairline, ink(colour), areas.HAIR)
            _band(scene, _inset(line, pen.line), pen.hairline, ink(colour), areas.HAIR)
            _band(scene, line, pen.line, colour, 1.0)


def _pixels(box: Box, scene: Scene) -> PixelBox:
    """A box in whole pixels, at least one wide and high."""
    height, width = scene.shape[:2]
    left, top = min(round(box.x0 * width), width - 1), min(round(box.y0 * height), height - 1)
    return left, top, max(round(box.x1 * width), left + 1), max(round(box.y1 * height), top + 1)


def _outset(box: PixelBox, by: int, scene: Scene) -> PixelBox:
    height, width = scene.shape[:2]
    return max(box[0] - by, 0), max(box[1] - by, 0), min(box[2] + by, width), min(box[3] + by, height)


def _inset(box: PixelBox, by: int) -> PixelBox:
    return box[0] + by, box[1] + by, box[2] - by, box[3] - by


def _band(scene: Scene, outer: PixelBox, width: int, colour: str, opacity: float) -> None:
    """Paint the four sides of a frame, inwards from its outer edge, each pixel once."""
    left, top, right, bottom = outer
    if right <= left or bottom <= top:
        return  # the frame of a box so small that nothing is left of it inside
    across, down = min(width, (right - left + 1) // 2), min(width, (bottom - top + 1) // 2)
    shade = np.array(rgb(colour)[::-1]) * opacity
    for rows, columns in (
        (slice(top, top + down), slice(left, right)),
        (slice(max(bottom - down, top + down), bottom), slice(left, right)),
        (slice(top + down, bottom - down), slice(left, left + across)),
        (slice(top + down, bottom - down), slice(max(right - across, left + across), right)),
    ):
        scene[rows, columns] = np.round(scene[rows, columns] * (1 - opacity) + shade)


def _dots(scene: Scene, coloured: Coloured, pen: Pen) -> None:
    """Points as dots in a light ring with a dark edge, seen on any ground.

    Not with supervision's VertexAnnotator: its dots have steps and no ring.
    """
    for region, colour in coloured:
        if isinstance(region.shape, Point):
            ring = pen.dot + max(1.5, pen.line * 0.5)
            for shade, radius in ((DARK, ring + pen.hairline), (LIGHT, ring), (colour, pen.dot)):
                _disc(scene, region.shape, radius, shade)


def _disc(scene: Scene, point: Point, radius: float, colour: str) -> None:
    height, width = scene.shape[:2]
    x, y = ((value * side - 0.5) * (1 << _SHIFT) for value, side in ((point.x, width), (point.y, height)))
    cv2.circle(
        scene, (round(x), round(y)), round(radius * (1 << _SHIFT)), rgb(colour)[::-1], -1, cv2.LINE_AA, _SHIFT
    )


def _labels(image: Image.Image, coloured: Coloured, pen: Pen) -> None:
    """Put a chip beside each region that has words.

    Not with supervision's RichLabelAnnotator: its plates differ in height from word to
    word, and it moves them off each other but not off the objects, nor back into the image.
    """
    made = [chips.chip(region, colour, pen.em, pen.hairline, image.size) for region, colour in coloured]
    named = [(index, chip) for index, chip in enumerate(made) if chip is not None]
    places = layout.place(
        [chip.size for _, chip in named],
        [_extent(region, image.size, pen) for region, _ in coloured],
        [index for index, _ in named],
        image.size,
    )
    for (_, chip), corner in zip(named, places, strict=True):
        if corner is not None:
            chips.paint(image, chip, corner)


def _extent(region: Region, size: tuple[int, int], pen: Pen) -> tuple[float, float, float, float]:
    """What a region takes up in pixels, its outline or dot included."""
    edge = float(pen.frame)
    if isinstance(region.shape, Point):
        edge = pen.dot + pen.line
    elif isinstance(region.shape, Polygon | Mask):
        edge = pen.frame / 2  # drawn on the edge, not outside of it
    x0, y0, x1, y1 = (part * side for part, side in zip(bounds(region.shape).xyxy, size * 2, strict=True))
    return max(x0 - edge, 0), max(y0 - edge, 0), min(x1 + edge, size[0]), min(y1 + edge, size[1])
