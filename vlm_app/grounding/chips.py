"""Label chips: a rounded plate in the region's colour with its words."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from vlm_app.grounding.fonts import face
from vlm_app.grounding.palette import ink, rgb
from vlm_app.types import Region

_SMOOTH = 4  # corners are drawn this much larger and shrunk: Pillow's own have steps
_WIDEST = 0.6  # of the image
_EDGE = 165  # opacity of the hairline around a plate, of 255
_CAP = 0.73  # height of DejaVu's capitals, in ems


@dataclass(frozen=True)
class Chip:
    """A label that is measured and not yet placed. Lengths in pixels."""

    text: str
    font: ImageFont.FreeTypeFont
    size: tuple[int, int]
    colour: str
    hairline: int


def chip(region: Region, colour: str, em: int, hairline: int, canvas: tuple[int, int]) -> Chip | None:
    """The chip of a region, or None where it has no words or the image no room for them."""
    words = _line(region.label)
    font = face(words, em)
    pad = round(em * 0.4) + hairline
    tail = "" if region.score is None else f" {region.score:.0%}"
    words = _fitting(words, tail, font, round(canvas[0] * _WIDEST) - 2 * pad)
    size = (round(font.getlength(words)) + 2 * pad, round(em * 1.45) + 2 * hairline)
    if not words or size[0] > canvas[0] or 2 * size[1] > canvas[1]:
        return None
    return Chip(words, font, size, colour, hairline)


def paint(image: Image.Image, chip: Chip, corner: tuple[int, int]) -> None:
    """Draw a chip into an RGB image, its left top corner at a place."""
    (width, height), hair, (x, y) = chip.size, chip.hairline, corner
    contrast = rgb(ink(chip.colour))
    image.paste(contrast, corner, _plate(chip.size, hair, _EDGE))
    image.paste(rgb(chip.colour), (x + hair, y + hair), _plate((width - 2 * hair, height - 2 * hair), 0, 255))
    middle, baseline = x + width / 2, y + (height + _CAP * chip.font.size) / 2
    ImageDraw.Draw(image).text(
        (middle, round(baseline)), chip.text, fill=contrast, font=chip.font, anchor="ms"
    )


@lru_cache(maxsize=256)
def _plate(size: tuple[int, int], grow: int, opacity: int) -> Image.Image:
    """How much of each pixel a rounded plate covers: an 8-bit mask."""
    width, height = size
    radius = ((height - 2 * grow) * 0.22 + grow) * _SMOOTH
    plate = Image.new("L", (width * _SMOOTH, height * _SMOOTH))
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, plate.width - 1, plate.height - 1), radius, fill=opacity)
    return plate.reduce(_SMOOTH)


def _line(label: str) -> str:
    """A label in one line, without characters that show nothing or turn the direction."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") else char for char in label)
    return " ".join("".join(kept).split())


def _fitting(words: str, tail: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    """The words and their tail, the words cut with an ellipsis until both fit a width."""
    words = words[:200]  # nobody reads more on a picture, and measuring costs time
    if not words or font.getlength(words + tail) <= width:
        return (words + tail).strip()
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        fits = font.getlength(f"{words[:middle].rstrip()}…{tail}") <= width
        low, high = (middle, high) if fits else (low, middle - 1)
    return f"{words[:low].rstrip()}…{tail}" if low else ""
