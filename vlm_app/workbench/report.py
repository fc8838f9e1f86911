"""A report: chosen regions of images, pages and videos, each with its picture, place and sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING

from vlm_app.errors import BadInput
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Box, Mask, Picture, Point, Polygon, Region, Shape

if TYPE_CHECKING:
    from PIL.Image import Image

_MARGIN = 0.2  # of a region's longer side is shown around it
_LEAST = 0.25  # of the picture's shorter side is shown, around a point or something small
_MOST = 0.6  # of the picture: of a larger part no small picture says where it lies
_SIDES = (720, 1440)  # pixels of the longer side of a part: enlarged, or made smaller, to these
_SMALL = 480  # pixels of the longer side of the picture that says where a part lies


@dataclass(frozen=True, slots=True)
class Clipping:
    """A part of a picture, or all of it where there is no region, and what is said of it.

    `picture` gives it when it is drawn: a report of many large pages holds one of them at a time.
    `place` is short: 'invoice.pdf, page 3', 'clip.mp4, 0:12', 'cat.png'. `sentence` is the model's.
    """

    picture: Callable[[], Picture]
    region: Region | None
    place: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A clipping as both kinds of document show it: what it is called, and its pictures.

    `whole` is the whole picture, small, with the part marked; None where the part is most of it.
    """

    name: str
    place: str
    sentence: str
    part: Image
    whole: Image | None


def report_html(title: str, clippings: Sequence[Clipping]) -> bytes:
    """One HTML file that needs nothing else: pictures and style are in it, and no script.

    Raises:
        BadInput: there is no clipping.
    """
    from vlm_app.workbench.report_page import page

    return page(_title(title), _about(clippings), map(shown, clippings))


def report_pdf(title: str, clippings: Sequence[Clipping]) -> bytes:
    """The same on A4 pages.

    Raises:
        BadInput: there is no clipping.
    """
    from vlm_app.workbench.report_paper import paper

    title, about = _title(title), _about(clippings)
    words = [title, about, *(word for one in clippings for word in (_name(one), one.place, one.sentence))]
    return paper(title, about, map(shown, clippings), "".join(words))


def _name(clipping: Clipping) -> str:
    return clipping.region.label if clipping.region else ""


def _title(title: str) -> str:
    from vlm_app.grounding.formats.result import plain

    return plain(title) or "Report"


def _about(clippings: Sequence[Clipping]) -> str:
    """The line under the title. Raises BadInput where there is nothing to report."""
    if not clippings:
        raise BadInput("A report holds at least one part of a picture, found none: choose one first.")
    today = date.today()
    count = "1 part" if len(clippings) == 1 else f"{len(clippings)} parts"
    return f"{count}, {today.day} {today:%B %Y}"


def shown(clipping: Clipping) -> Shown:
    """The pictures of a clipping, drawn."""
    from vlm_app.grounding import draw
    from vlm_app.grounding.formats.result import plain

    pixels, region = clipping.picture().pixels, clipping.region
    place, sentence = plain(clipping.place), clipping.sentence.strip()
    if region is None:
        return Shown("", place, sentence, _sized(pixels), None)
    name = plain(_name(clipping))
    bare = replace(region, label="", score=None)  # its name stands beside it
    edges = _edges(region.shape, pixels.size)
    left, top, right, bottom = edges
    part = draw(_sized(pixels.crop(edges)), [replace(bare, shape=_moved(region.shape, edges, pixels.size))])
    if (right - left) * (bottom - top) > _MOST * pixels.width * pixels.height:
        return Shown(name, place, sentence, part, None)
    small = pixels.copy()
    small.thumbnail((_SMALL, _SMALL), reducing_gap=3.0)
    return Shown(name, place, sentence, part, draw(small, [bare]))


def _sized(image: Image) -> Image:
    """A part at a size at which its outline is fine and its file is small."""
    from PIL.Image import Resampling

    longer = max(image.size)
    wanted = min(max(longer, _SIDES[0]), _SIDES[1])
    size = (max(round(image.width * wanted / longer), 1), max(round(image.height * wanted / longer), 1))
    return image if size == image.size else image.resize(size, Resampling.LANCZOS, reducing_gap=3.0)


def _around(shape: Shape) -> Box:
    """What must be seen of a shape: of a mask also the empty rim of its bitmap."""
    return shape.box if isinstance(shape, Mask) else bounds(shape)


def _edges(shape: Shape, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What is cut out, in whole pixels: the shape with a margin, not too small, inside the picture."""
    x0, y0, x1, y1 = (value * side for value, side in zip(_around(shape).xyxy, size * 2, strict=True))
    margin = _MARGIN * max(x1 - x0, y1 - y0)
    least = _LEAST * min(size)
    across = _stretch(x0 - margin, x1 + margin, least, size[0])
    down = _stretch(y0 - margin, y1 + margin, least, size[1])
    return across[0], down[0], across[1], down[1]


def _stretch(start: float, end: float, least: float, side: int) -> tuple[int, int]:
    """At least so long, about its middle, within the picture's side."""
    lacking = max(least - (end - start), 0.0) / 2
    first, last = max(start - lacking, 0.0), min(end + lacking, float(side))
    return min(int(first), side - 1), max(min(round(last + 0.5), side), int(first) + 1)


def _moved(shape: Shape, edges: tuple[int, int, int, int], size: tuple[int, int]) -> Shape:
    """The shape on the part that was cut out."""
    left, top, right, bottom = edges

    def at(x: float, y: float) -> Point:
        across = (x * size[0] - left) / (right - left)
        down = (y * size[1] - top) / (bottom - top)
        return Point(min(max(across, 0.0), 1.0), min(max(down, 0.0), 1.0))

    def moved(box: Box) -> Box:
        first, last = at(box.x0, box.y0), at(box.x1, box.y1)
        return Box(first.x, first.y, last.x, last.y)

    if isinstance(shape, Box):
        return moved(shape)
    if isinstance(shape, Point):
        return at(shape.x, shape.y)
    if isinstance(shape, Polygon):
        return Polygon(tuple(at(point.x, point.y) for point in shape.points))
    return replace(shape, box=moved(shape.box))
