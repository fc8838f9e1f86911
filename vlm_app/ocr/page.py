"""Making a page upright, flat and clear before it is read, and the way back to the picture.

Every step is a matrix that takes pixels of the picture to pixels of the page; they are
multiplied, so that the picture is sampled only once and every place can be taken back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from vlm_app.ocr.networks import Pixels

_LEAST_PAPER, _MOST_PAPER = 0.2, 0.97  # of the picture that a sheet of paper covers
_BRIGHTER = 18.0  # grey levels that paper is brighter than what it lies on, at least
_FLAT = 80.0  # grey levels between paper and print below which they are spread
_GRAINS = 3.0  # times the noise: print differs from paper by more
_NOISY = 14.0  # grey levels of noise from which a median filter helps more than it blurs


@dataclass(frozen=True, slots=True)
class Page:
    """What is read: `pixels`, and `matrix` from the picture's pixels to its own. `done` says how it came."""

    pixels: Pixels
    matrix: Any  # (3, 3)
    done: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)"""
        return self.pixels.shape[1], self.pixels.shape[0]

    def back(self, quads: Any) -> Any:
        """Quads (n, 4, 2) of this page as pixels of the picture."""
        import cv2
        import numpy as np

        points = np.asarray(quads, np.float64).reshape(-1, 1, 2)
        if not len(points):
            return np.zeros((0, 4, 2))
        return cv2.perspectiveTransform(points, np.linalg.inv(self.matrix)).reshape(-1, 4, 2)


def whole(picture: Pixels) -> Page:
    """The picture as it is."""
    import numpy as np

    return Page(picture, np.eye(3))


def flattened(picture: Pixels, corners: Any) -> Page:
    """The sheet of paper with these corners (4, 2), as if seen from above."""
    import cv2
    import numpy as np

    top, right, bottom, left = (
        float(np.linalg.norm(corners[one] - corners[(one + 1) % 4])) for one in range(4)
    )
    wide, high = round(max(top, bottom)), round(max(left, right))
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.asarray(corners, np.float32), flat)
    return _moved(picture, matrix, (wide, high), ("flattened",))


def turned(page: Page, picture: Pixels, quarters: int, askew: float) -> Page:
    """The page turned clockwise by quarters, and then straightened by `askew` degrees.

    `askew` is the angle at which its lines fall to the right after the quarters.
    """
    import numpy as np

    wide, high = page.size
    matrix, done = np.asarray(page.matrix), page.done
    for _ in range(quarters % 4):
        matrix = np.array([[0, -1, high - 1], [1, 0, 0], [0, 0, 1]], np.float64) @ matrix
        wide, high = high, wide
    if quarters % 4:
        done += (f"turned by {quarters % 4 * 90}°",)
    if askew:
        turn, (wide, high) = _rotation(askew, wide, high)
        matrix = turn @ matrix
        done += (f"straightened by {abs(askew):.1f}°",)
    return _moved(picture, matrix, (wide, high), done)


def cleared(page: Page) -> Page:
    """With noise filtered out and contrast spread, where there is much of the one or little of the other."""
    import cv2
    import numpy as np

    pixels, done = page.pixels, page.done
    grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    if noise(grey) > _NOISY:
        pixels, done = cv2.medianBlur(pixels, 3), (*done, "filtered against noise")
        grey = cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)
    dark, bright = np.percentile(grey[::3, ::3], (0.5, 90))
    if 2 * _GRAINS * noise(grey) < bright - dark < _FLAT:
        spread = (np.arange(256) - dark) * (255 / (bright - dark))
        pixels = cv2.LUT(pixels, spread.clip(0, 255).astype(np.uint8))
        done = (*done, "given more contrast")
    return Page(pixels, page.matrix, done)


def noise(grey: Any) -> float:
    """The standard deviation of a grey picture's noise.

    Immerkær, Fast noise variance estimation, 1996; the median instead of the mean, because
    a page has more edges than a photograph; of the thousand rows in the middle.
    """
    import cv2
    import numpy as np

    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    middle = grey[len(grey) // 2 - 500 if len(grey) > 1000 else 0 :][:1000]
    response = np.abs(cv2.filter2D(middle, cv2.CV_32F, kernel))
    return float(np.median(response)) / (0.6745 * 6)


def paper(picture: Pixels) -> Any | None:
    """The corners (4, 2) of a sheet of paper on a photo, left top first; None where none convinces.

    It is a convex quad with about right angles that covers a good part of the picture, is
    brighter than what is around it, and does not just follow the picture's own edge.
    """
    import cv2

    scale = min(1.0, 640 / max(picture.shape[:2]))
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    grey = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), (5, 5), 0)
    best: Any | None = None
    for mask in _masks(small, grey):
        for outline in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            quad = _quad(cv2.convexHull(outline))
            if quad is not None and _convinces(quad, grey) and (best is None or _area(quad) > _area(best)):
                best = quad
    return None if best is None else _from_left_top(best) / scale


def _moved(picture: Pixels, matrix: Any, size: tuple[int, int], done: tuple[str, ...]) -> Page:
    import cv2

    pixels = cv2.warpPerspective(
        picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return Page(pixels, matrix, done)


def _rotation(degrees: float, wide: int, high: int) -> tuple[Any, tuple[int, int]]:
    """The matrix that lifts falling lines, and the size that holds all of the page."""
    import numpy as np

    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    size = (
        math.ceil(wide * cosine + high * abs(sine)),
        math.ceil(wide * abs(sine) + high * cosine),
    )
    turn = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
    centre = turn @ np.array([wide / 2, high / 2, 1])
    turn[0, 2], turn[1, 2] = size[0] / 2 - centre[0], size[1] / 2 - centre[1]
    return turn, size


# --- a sheet of paper ---------------------------------------------------------------------


def _masks(small: Pixels, grey: Any) -> list[Any]:
    """Where paper may be: what is bright, what has no colour, what lies between edges."""
    import cv2
    import numpy as np

    kernel = np.ones((5, 5), np.uint8)
    bright = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[1]
    saturation = cv2.GaussianBlur(cv2.cvtColor(small, cv2.COLOR_BGR2HSV)[..., 1], (5, 5), 0)
    pale = cv2.threshold(saturation, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)[1]
    edges = cv2.dilate(cv2.Canny(grey, 30, 90), kernel)
    solid = [cv2.morphologyEx(each, cv2.MORPH_CLOSE, kernel) for each in (bright, pale)]
    return [*solid, edges]


def _quad(hull: Any) -> Any | None:
    """The four corners of an outline, if it has just about four."""
    import cv2

    length = cv2.arcLength(hull, True)
    for share in (0.01, 0.02, 0.03, 0.05):
        corners = cv2.approxPolyDP(hull, share * length, True)
        if len(corners) == 4:
            quad = corners.reshape(4, 2).astype("float32")
            # Corners that were cut off make a quad of something else.
            return quad if _area(quad) > 0.93 * cv2.contourArea(hull) else None
    return None


def _convinces(quad: Any, grey: Any) -> bool:
    import cv2
    import numpy as np

    high, wide = grey.shape
    share = _area(quad) / (wide * high)
    if not _LEAST_PAPER < share < _MOST_PAPER or not all(60 < angle < 120 for angle in _angles(quad)):
        return False
    inside = np.zeros_like(grey)
    cv2.fillConvexPoly(inside, quad.astype(np.int32), 255)
    outer = cv2.dilate(inside, np.ones((25, 25), np.uint8)) & ~cv2.dilate(inside, np.ones((7, 7), np.uint8))
    inner = inside & ~cv2.erode(inside, np.ones((25, 25), np.uint8), borderValue=0)
    if np.count_nonzero(outer) < 0.3 * np.count_nonzero(inner):  # mostly the picture's own edge
        return False
    return bool(np.median(grey[inner > 0]) - np.median(grey[outer > 0]) > _BRIGHTER)


def _angles(quad: Any) -> list[float]:
    """Degrees at the corners."""
    import numpy as np

    found = []
    for one in range(4):
        a, b = quad[one - 1] - quad[one], quad[(one + 1) % 4] - quad[one]
        found.append(math.degrees(math.acos(float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b) + 1e-9)))))
    return found


def _area(quad: Any) -> float:
    import cv2

    return float(cv2.contourArea(quad))


def _from_left_top(quad: Any) -> Any:
    """The corners clockwise from the one at the left top."""
    import numpy as np

    centre = quad.mean(axis=0)
    around = quad[np.argsort(np.arctan2(*(quad - centre).T[::-1]))]
    return np.roll(around, -int(np.argmin(around.sum(axis=1))), axis=0)
