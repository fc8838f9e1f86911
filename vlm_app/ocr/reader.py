"""From a picture to its lines of text, in the order in which they are read."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from vlm_app.ocr import upright
from vlm_app.ocr.networks import Networks, Pixels
from vlm_app.ocr.page import Page, cleared, flattened, paper, turned, whole
from vlm_app.types import Box, Point, Polygon

OVERVIEW = 960  # pixels of the longer side, to see how a page lies
HIGH = 24.0  # pixels of a line's quad at which text is found best
LARGEST = 1.5  # times: small text is enlarged at most so much
WIDEST = 4000  # pixels of a page's width, for finding text
MOST = 16_000_000  # pixels of a picture that are read; more show nothing that is needed
BAND = 800_000  # pixels of which text is found at once: what bounds the memory
_OVERLAP = 4  # lines that two bands share
_SURE = 0.5  # lines whose text is less sure are noise

_Sides = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text: its quad on the picture, its box on the straightened page (both 0..1), its score."""

    text: str
    score: float
    quad: Polygon
    box: Box


@dataclass(frozen=True, slots=True)
class Read:
    """The lines of a picture, in no order yet; `size` of the straightened page in pixels, what was `done`."""

    lines: tuple[Line, ...]
    size: tuple[int, int]
    done: tuple[str, ...]


class Reader:
    """RapidOCR with what makes pages readable before it."""

    def __init__(self) -> None:
        self._networks = Networks()

    def read(
        self, picture: Any, stop: threading.Event | None = None, read: Callable[[], None] = lambda: None
    ) -> Read:
        """The lines of an RGB image (Pillow's). `stop` ends it early, with the lines so far.

        `read` is called after each line.
        """
        pixels = _pixels(picture)
        stop = stop or threading.Event()
        page, heights = self._laid_out(pixels)
        found: list[Line] = []
        for quad in self._find(page.pixels, heights, stop):
            if stop.is_set():
                break
            text, score = self._networks.read(upright.cut(page.pixels, quad))
            read()
            if text.strip() and score >= _SURE:
                found.append(_line(text.strip(), score, quad, page, pixels.shape))
        return Read(tuple(found), page.size, page.done)

    # --- how the page lies ------------------------------------------------------------------

    def _laid_out(self, pixels: Pixels) -> tuple[Page, list[float]]:
        """The page upright, straight, flat and clear, and how many pixels high each of its lines is."""
        page, quads = self._paper(pixels)
        quarters = upright.quarters(self._networks, page.pixels, quads)
        straight = _quarter_turned(quads, quarters)
        askew = upright.askew(straight, 1 / _shrunk(page.pixels))
        if quarters or askew:
            page = turned(page, pixels, quarters, askew)
        return cleared(page), [upright.height(quad) for quad in straight]

    def _paper(self, pixels: Pixels) -> tuple[Page, Any]:
        """The sheet of paper on a photo, or else the whole picture; and where text is on it."""
        page = whole(pixels)
        quads = self._glance(pixels)
        corners = paper(pixels)
        if corners is None or not _holds(corners, quads):
            return page, quads
        flat = flattened(pixels, corners)
        return flat, self._glance(flat.pixels)

    def _glance(self, pixels: Pixels) -> Any:
        """Quads of text in pixels of a picture, found on a small copy of it."""
        import cv2

        scale = _shrunk(pixels)
        small = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        return self._networks.find(small)[0] / scale

    # --- where the text is --------------------------------------------------------------------

    def _find(self, pixels: Pixels, heights: Sequence[float], stop: threading.Event) -> Any:
        """Quads of text in pixels of the page, whose lines are about so high (none: nobody knows)."""
        import cv2
        import numpy as np

        wide = pixels.shape[1]
        line = median(heights or [HIGH])
        scale = min(HIGH / line, LARGEST, WIDEST / wide)
        shrinking = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        sized = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=shrinking)
        quads: list[Any] = []
        for top, bottom in bands(len(sized), sized.shape[1], round(_OVERLAP * line * scale)):
            if stop.is_set():
                break
            part, _ = self._networks.find(np.ascontiguousarray(sized[top:bottom]))
            quads += _whole_lines(part + np.array([0, top], np.float32), top, bottom, sized.shape[0])
        found = [quad / scale for quad in _once(quads)]
        tallest = _OVERLAP * line  # what is higher, a headline, may be cut by every band
        if max(heights, default=0.0) <= tallest or stop.is_set():
            return found
        tall = [quad for quad in self._glance(pixels) if upright.height(quad) > tallest]
        return found + [quad for quad in tall if not _found(quad, found)]


def bands(high: int, wide: int, overlap: int) -> Iterator[tuple[int, int]]:
    """Rows (top, bottom) of a picture that together cover it; each has at most `BAND` pixels."""
    most = max(BAND // wide, 3 * overlap, 32)
    top = 0
    while top + most < high:
        yield top, top + most
        top += most - overlap
    yield top, high


def _whole_lines(quads: Any, top: int, bottom: int, high: int) -> list[Any]:
    """Those that are not cut by the edge of a band inside the picture: the next band has them whole."""
    return [
        quad
        for quad in quads
        if (top == 0 or quad[:, 1].min() > top + 2) and (bottom == high or quad[:, 1].max() < bottom - 3)
    ]


def _once(quads: list[Any]) -> list[Any]:
    """Without those that two bands have found."""
    kept: list[Any] = []
    boxes: list[_Sides] = []
    for quad in quads:
        box = _sides(quad)
        if not any(_same(box, other) for other in boxes):
            kept.append(quad)
            boxes.append(box)
    return kept


def _same(one: _Sides, other: _Sides) -> bool:
    return _shared(one, other) > 0.6 * min(_shared(one, one), _shared(other, other))


def _found(quad: Any, quads: Sequence[Any]) -> bool:
    """Whether most of a line lies in `quads`, be it in several pieces."""
    box = _sides(quad)
    return sum(_shared(box, _sides(other)) for other in quads) > 0.5 * _shared(box, box)


def _sides(quad: Any) -> _Sides:
    (left, top), (right, bottom) = quad.min(axis=0), quad.max(axis=0)
    return float(left), float(top), float(right), float(bottom)


def _shared(one: _Sides, other: _Sides) -> float:
    """Pixels that two boxes have in common."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return max(wide, 0.0) * max(high, 0.0)


def _pixels(picture: Any) -> Pixels:
    """A Pillow image as the networks want it, made smaller where it is huge."""
    import cv2
    import numpy as np

    pixels = cv2.cvtColor(np.asarray(picture), cv2.COLOR_RGB2BGR)
    scale = math.sqrt(MOST / (pixels.shape[0] * pixels.shape[1]))
    if scale >= 1:
        return pixels
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)


def _shrunk(pixels: Pixels) -> float:
    return float(min(1.0, OVERVIEW / max(pixels.shape[:2])))


def _holds(corners: Any, quads: Any) -> bool:
    """Whether nearly all text stands on the sheet with these corners."""
    import cv2
    import numpy as np

    outline = np.asarray(corners, np.float32)
    inside = [cv2.pointPolygonTest(outline, quad.mean(axis=0).tolist(), False) >= 0 for quad in quads]
    return bool(inside) and sum(inside) >= 0.9 * len(inside)


def _quarter_turned(quads: Any, quarters: int) -> Any:
    """Quads of a page that was turned clockwise, each from its new left top; not their place."""
    import numpy as np

    turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), quarters)
    return [np.roll(quad @ turn, quarters, axis=0) for quad in quads]


def _line(text: str, score: float, quad: Any, page: Page, shape: tuple[int, ...]) -> Line:
    import numpy as np

    high, wide = shape[:2]
    points = (page.back(quad[None])[0] / np.array([wide, high])).clip(0, 1)
    x0, y0 = (quad.min(axis=0) / np.array(page.size)).clip(0, 1)
    x1, y1 = (quad.max(axis=0) / np.array(page.size)).clip(0, 1)
    return Line(
        text,
        min(max(score, 0.0), 1.0),
        Polygon(tuple(Point(float(x), float(y)) for x, y in points)),
        Box(float(x0), float(y0), float(x1), float(y1)),
    )


__all__ = ["Line", "Read", "Reader", "bands"]
