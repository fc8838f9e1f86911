"""Lines of text where they stand on a page: hOCR and searchable PDFs are made of them.

Models give a place to a line, seldom to a word. Where a word begins within its line is worked
out from the widths of letters in DejaVu Sans; it is right to about a letter for printed text.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from vlm_app.grounding.formats.order import reading_order
from vlm_app.grounding.formats.result import Result, plain
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Box, Polygon, Region, Shape, Task

Place = tuple[float, float]  # x, y in pixels
Size = tuple[int, int]  # width, height in pixels

DESCENT = 0.2  # of a line's height lies below its baseline
_BLOCK = 1.5  # text that would be this many lines high, written at the width of its box, is several
_WIDE = "\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef"  # Chinese and Japanese, which break anywhere
_PIECE = re.compile(rf"[{_WIDE}]\s*|[^\s{_WIDE}]+\s*")


@dataclass(frozen=True, slots=True)
class Word:
    """A word and where it begins and ends along its line, in pixels."""

    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Line:
    """Text on one line of a page, in pixels of its image.

    `corner` is the left top of its first letter as one reads it, `angle` the degrees by which
    the line is turned clockwise: 90 for text that runs down the page.
    """

    text: str
    corner: Place
    width: float
    height: float
    angle: float = 0.0
    score: float | None = None

    def at(self, along: float, down: float) -> Place:
        """The place on the page that lies so far along the line and below its top."""
        cos, sin = math.cos(math.radians(self.angle)), math.sin(math.radians(self.angle))
        return self.corner[0] + along * cos - down * sin, self.corner[1] + along * sin + down * cos

    def bounds(self, start: float, end: float) -> tuple[float, float, float, float]:
        """The upright box (left, top, right, bottom) around a stretch of the line."""
        corners = [self.at(along, down) for along in (start, end) for down in (0.0, self.height)]
        across, below = [x for x, _ in corners], [y for _, y in corners]
        return min(across), min(below), max(across), max(below)

    @property
    def words(self) -> tuple[Word, ...]:
        """Its words, in the order of reading; those of Arabic and Hebrew begin at the right."""
        scale = self.width / width_of(self.text)
        found, start = [], 0.0
        for part in re.findall(r"\S+|\s+", self.text):
            end = start + width_of(part) * scale
            if not part.isspace():
                found.append(Word(part, start, end))
            start = end
        if runs_left(self.text):
            return tuple(Word(one.text, self.width - one.end, self.width - one.start) for one in found)
        return tuple(found)


def lines(result: Result, image: int) -> list[Line]:
    """The lines of text on one image as they are read.

    A reading without places ('ocr' about one image) is laid down the page, line by line, so
    that it can be found on its page.
    """
    size = result.images[image].size
    texts = in_order([region for region in result.on(image) if plain(region.text or "")], size)
    if texts:
        return [part for region in texts for part in _parts(region.text or "", _line(region, size))]
    if len(result.images) == 1 and result.task == Task.OCR and plain(result.text):
        return _parts(result.text, Line("", (0.0, 0.0), size[0], size[1]))
    return []


def in_order(regions: Sequence[Region], size: Size) -> list[Region]:
    """Regions of text as they are read, also on a page that lies on its side or askew."""
    found = [_line(region, size) for region in regions]
    angle = _direction(found)
    boxes = _straightened(found, angle) if angle else [bounds(region.shape) for region in regions]
    return [regions[index] for index in reading_order(boxes)]


def _direction(found: Sequence[Line]) -> float:
    """The angle at which most of the text stands; a stamp or a margin note does not count."""
    if not found:
        return 0.0
    quarters = [round(line.angle / 90) % 4 for line in found]
    weight = dict.fromkeys(quarters, 0.0)
    for quarter, line in zip(quarters, found, strict=True):
        weight[quarter] += line.width
    most = max(weight, key=lambda quarter: weight[quarter])
    of_most = sorted(
        (_near(line.angle - 90 * most), line.width)
        for quarter, line in zip(quarters, found, strict=True)
        if quarter == most
    )
    left = weight[most] / 2
    for angle, width in of_most:
        left -= width
        if left <= 0:
            return _near(angle + 90 * most)
    return 0.0


def _near(angle: float) -> float:
    """The same direction, from -180 up to 180 degrees."""
    return (angle + 180) % 360 - 180


def _straightened(found: Sequence[Line], angle: float) -> list[Box]:
    """The lines' boxes on the page turned back by an angle, as fractions of all that is written."""
    turned = []
    for line in found:
        x, y = line.at(line.width / 2, line.height / 2)
        cos, sin = math.cos(math.radians(-angle)), math.sin(math.radians(-angle))
        middle = (x * cos - y * sin, x * sin + y * cos)
        half = (line.width / 2, line.height / 2)
        upright = Line("", (middle[0] - half[0], middle[1] - half[1]), line.width, line.height)
        turned.append(upright.bounds(0.0, line.width))
    left, top = min(box[0] for box in turned), min(box[1] for box in turned)
    width = max(max(box[2] for box in turned) - left, 1e-9)
    height = max(max(box[3] for box in turned) - top, 1e-9)

    def part(value: float, start: float, whole: float) -> float:
        return min(max((value - start) / whole, 0.0), 1.0)

    return [
        Box(part(x0, left, width), part(y0, top, height), part(x1, left, width), part(y1, top, height))
        for x0, y0, x1, y1 in turned
    ]


def _line(region: Region, size: Size) -> Line:
    """Where a region's text stands: the upright or turned rectangle that fits its shape best."""
    first, second, third, fourth = _corners(region.shape, size)
    across = (
        (second[0] - first[0] + third[0] - fourth[0]) / 2,
        (second[1] - first[1] + third[1] - fourth[1]) / 2,
    )
    down = (
        (fourth[0] - first[0] + third[0] - second[0]) / 2,
        (fourth[1] - first[1] + third[1] - second[1]) / 2,
    )
    line = Line(
        plain(region.text or ""), (0.0, 0.0), math.hypot(*across), math.hypot(*down),
        math.degrees(math.atan2(across[1], across[0])), region.score,
    )  # fmt: skip
    middle = (
        (first[0] + second[0] + third[0] + fourth[0]) / 4,
        (first[1] + second[1] + third[1] + fourth[1]) / 4,
    )
    offset = line.at(line.width / 2, line.height / 2)
    return replace(line, corner=(middle[0] - offset[0], middle[1] - offset[1]))


def _corners(shape: Shape, size: Size) -> tuple[Place, Place, Place, Place]:
    """Clockwise from where reading begins. Of other outlines than quads the box around them counts."""
    if isinstance(shape, Polygon) and len(shape.points) == 4:
        a, b, c, d = ((point.x * size[0], point.y * size[1]) for point in shape.points)
        turn = (c[0] - a[0]) * (d[1] - b[1]) - (c[1] - a[1]) * (d[0] - b[0])
        return (a, b, c, d) if turn >= 0 else (a, d, c, b)
    x0, y0, x1, y1 = (value * side for value, side in zip(bounds(shape).xyxy, size * 2, strict=True))
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def _parts(text: str, place: Line) -> list[Line]:
    """The lines of a text in its place: those it has, else those that its shape speaks of."""
    texts = [one for one in map(plain, text.splitlines()) if one]
    if len(texts) == 1:
        texts = _wrapped(texts[0], place)
    widest = max(width_of(one) for one in texts)
    height = place.height / len(texts)
    return [
        replace(
            place,
            text=one,
            corner=place.at(_indent(one, width := place.width * width_of(one) / widest, place), n * height),
            width=width,
            height=height,
        )
        for n, one in enumerate(texts)
    ]


def _indent(text: str, width: float, place: Line) -> float:
    """Where a shorter line begins: at the left, or so that it ends at the right."""
    return place.width - width if runs_left(text) else 0.0


def _wrapped(text: str, place: Line) -> list[str]:
    """A paragraph that was read as one line, broken as it fits its box."""
    whole = width_of(text)
    count = math.sqrt((1 - DESCENT) * whole * place.height / max(place.width, 1e-9))
    if count < _BLOCK:
        return [text]
    found, line = [], ""
    for piece in _PIECE.findall(text):
        if line and width_of(line + piece.rstrip()) > whole / round(count):
            found.append(line.rstrip())
            line = ""
        line += piece
    return [*found, line.rstrip()]


def width_of(text: str) -> float:
    """How wide a text is, in ems of DejaVu Sans; more than 0."""
    return max(sum(advance(character) for character in text), 1e-3)


@lru_cache(maxsize=4096)
def advance(character: str) -> float:
    """The width of one letter in ems, the same on every machine whatever fonts it has."""
    from vlm_app.grounding.fonts import face

    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0  # an accent stands over its letter
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 1.0
    return face("", 1000).getlength(character) / 1000


def runs_left(text: str) -> bool:
    """Whether a line is read from right to left: its first letter that has a direction says so."""
    directions = (unicodedata.bidirectional(character) for character in text)
    return next((one for one in directions if one in ("L", "R", "AL")), "L") != "L"
