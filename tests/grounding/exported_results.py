"""Results that the tests of the formats export: every kind of region on images of all shapes."""

from __future__ import annotations

from PIL import Image

from vlm_app.grounding.formats import Result, Source
from vlm_app.types import Box, Mask, Point, Polygon, Region

SIZES = {"square": (200, 200), "wide": (1003, 211), "tall": (97, 640)}


def ring_mask(size: tuple[int, int]) -> Mask:
    """A ring with a hole, in the pixels of an image, a tenth of it away from its left top corner."""
    width, height = size[0] // 2, size[1] // 2
    left, top = size[0] // 10, size[1] // 10
    bits = bytes(
        0.3 < (2 * (x + 0.5) / width - 1) ** 2 + (2 * (y + 0.5) / height - 1) ** 2 < 1
        for y in range(height)
        for x in range(width)
    )
    box = Box(left / size[0], top / size[1], (left + width) / size[0], (top + height) / size[1])
    return Mask(box, (width, height), bits)


def every_kind(size: tuple[int, int], image: int = 0) -> tuple[Region, ...]:
    outline = Polygon((Point(0.1, 0.2), Point(0.9, 0.3), Point(0.5, 1.0), Point(0.0, 0.6)))
    return (
        Region("cat", Box(0.123456, 0.2, 0.654321, 1.0), image, score=0.75),
        Region("cat", Point(0.31, 0.77), image),
        Region("größter Hund 犬", outline, image, score=0.5),
        Region("ring", ring_mask(size), image),
        Region("EXIT", Box(0.0, 0.0, 0.5, 0.125), image, text="EXIT"),
        Region("title", Box(0.5, 0.0, 1.0, 0.125), image, text="A title, “quoted”"),
    )


def result(*names: str) -> Result:
    """Every kind of region on images of the given shapes."""
    images = tuple(
        Source(f"{name}.png", SIZES[name], Image.new("RGB", SIZES[name], "navy")) for name in names
    )
    regions = tuple(region for n, name in enumerate(names) for region in every_kind(SIZES[name], n))
    return Result(images, regions, "A cat, a dog and a ring.", "pebble", "detect", "everything")


EACH = [*(result(name) for name in SIZES), result(*SIZES)]
