"""Small pictures with printed text."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from benchmarks.ocr_pages import FONTS

LINES = ("Dear Anna Weber,", "the parcel with 12 lamps", "left Hamburg on Friday.", "Yours, John Miller")


def printed(
    lines: tuple[str, ...] = LINES, size: int = 24, wide: int = 480, high: int = 260, font: str = "DejaVuSans"
) -> Image.Image:
    """Black lines on white, from the left top."""
    image = Image.new("RGB", (wide, high), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        place = (40, 30 + number * size * 2)
        draw.text(place, line, fill="black", font=ImageFont.truetype(str(FONTS / f"{font}.ttf"), size))
    return image
