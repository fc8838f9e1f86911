"""Pictures: the image with its regions drawn, and a crop for each region."""

from __future__ import annotations

from collections.abc import Iterator

from PIL import Image

from vlm_app.errors import BadInput
from vlm_app.grounding.formats.files import safe_name, safe_names, zipped
from vlm_app.grounding.formats.result import Result
from vlm_app.grounding.palette import LIGHT
from vlm_app.grounding.shapes import bounds
from vlm_app.media import png_bytes
from vlm_app.types import Point, Region

_AROUND = 1 / 16  # of the shorter side of an image: half the side of the crop of a point


def drawn(result: Result) -> bytes:
    """A PNG of the images that have regions, one below the other; the last where none has."""
    from vlm_app.grounding import draw

    if not result.images:
        raise BadInput("There is no image to draw on: give one before the question.")
    copies = [draw(result.images[place].opened(), result.on(place)) for place in result.last_drawn]
    return png_bytes(copies[0] if len(copies) == 1 else _stacked(copies))


def _stacked(images: list[Image.Image]) -> Image.Image:
    sheet = Image.new("RGB", (max(one.width for one in images), sum(one.height for one in images)), LIGHT)
    top = 0
    for one in images:
        sheet.paste(one, (0, top))
        top += one.height
    return sheet


def crops(result: Result) -> bytes:
    """A zip of PNG files, each with its region's number and label; a folder an image if several."""
    folders = safe_names(source.name.rpartition(".")[0] or source.name for source in result.images)
    return zipped(_crops(result, folders if len(result.images) > 1 else []))


def _crops(result: Result, folders: list[str]) -> Iterator[tuple[str, bytes]]:
    digits = max(3, len(str(len(result.regions))))
    opened = -1
    for number, region in sorted(enumerate(result.regions, 1), key=lambda pair: pair[1].image):
        if region.image != opened:  # one image is held at a time, and opened once
            opened, image = region.image, result.images[region.image].opened()
        folder = f"{folders[region.image]}/" if folders else ""
        name = f"{folder}{number:0{digits}d}_{safe_name(region.label)}.png"
        yield name, png_bytes(image.crop(_edges(region, image.size)))


def _edges(region: Region, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What of the image is shown, in whole pixels, at least one wide and high."""
    x0, y0, x1, y1 = (value * side for value, side in zip(bounds(region.shape).xyxy, size * 2, strict=True))
    if isinstance(region.shape, Point):
        around = max(min(size) * _AROUND, 1)
        x0, y0, x1, y1 = x0 - around, y0 - around, x1 + around, y1 + around
    left, top = min(max(round(x0), 0), size[0] - 1), min(max(round(y0), 0), size[1] - 1)
    return left, top, max(min(round(x1), size[0]), left + 1), max(min(round(y1), size[1]), top + 1)
