"""Pages with printed lines whose places are known: what hOCR and PDF exports are tested on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from vlm_app.grounding.fonts import face
from vlm_app.grounding.formats import Result, Source
from vlm_app.types import Box, Point, Polygon, Region

SIZE = (1224, 1584)  # pixels: a letter page at 144 dpi

INVOICE = (
    ("Invoice number 4711", 100, 120, 44),
    ("Größe & Straße <b>", 100, 260, 28),
    ("Total amount due 12,50 EUR", 100, 380, 32),
    ("Please pay within thirty days.", 100, 1400, 20),
)


@dataclass(frozen=True)
class Printed:
    """A page, its lines as regions, and the box of each word in pixels."""

    image: Image.Image
    regions: tuple[Region, ...]
    words: tuple[tuple[str, tuple[float, float, float, float]], ...]


def printed(
    rows: tuple[tuple[str, int, int, int], ...] = INVOICE, image: int = 0, score: float | None = 0.9
) -> Printed:
    """Lines (text, left, top, size) as they would be printed in DejaVu Sans."""
    page = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(page)
    regions, words = [], []
    for text, left, top, size in rows:
        font = face(text, size)
        height = sum(font.getmetrics())
        pen.text((left, top), text, font=font, fill="black")
        regions.append(
            Region(
                "text line", _box(left, top, left + font.getlength(text), top + height), image, text, score
            )
        )
        for start, word in _words(text):
            x = left + font.getlength(text[:start])
            words.append((word, (x, top, x + font.getlength(word), top + height)))
    return Printed(page, tuple(regions), tuple(words))


def _box(x0: float, y0: float, x1: float, y1: float) -> Box:
    return Box(x0 / SIZE[0], y0 / SIZE[1], x1 / SIZE[0], y1 / SIZE[1])


def _words(text: str) -> list[tuple[int, str]]:
    found, start = [], 0
    for word in text.split(" "):
        found.append((start, word))
        start += len(word) + 1
    return found


def askew(text: str, angle: float, middle: tuple[float, float], width: float, height: float) -> Region:
    """A line turned clockwise by degrees about its middle, as an OCR engine's quad."""
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    corners = [(x * width / 2, y * height / 2) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    places = [(middle[0] + x * cos - y * sin, middle[1] + x * sin + y * cos) for x, y in corners]
    return Region("text line", Polygon(tuple(Point(x / SIZE[0], y / SIZE[1]) for x, y in places)), text=text)


def document(*pages: Printed, task: str = "ocr_regions") -> Result:
    sources = tuple(Source(f"page-{n}.png", page.image.size, page.image) for n, page in enumerate(pages, 1))
    return Result(sources, tuple(region for page in pages for region in page.regions), "", "pebble", task)


def blank(*regions: Region) -> Result:
    """Regions on one empty page."""
    return Result((Source("page.png", SIZE, Image.new("RGB", SIZE, "white")),), regions, task="ocr_regions")
