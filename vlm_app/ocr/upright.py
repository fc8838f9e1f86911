"""How a page lies: by how many quarters it has to be turned, and by how many degrees it is askew."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vlm_app.ocr.networks import Networks, Pixels

MOST_ASKEW = 15.0  # degrees; beyond them it is probably not a page
_STRAIGHT = 0.4  # degrees that nobody has to correct
_STEP = 4.0  # steps of the search by which an end of a line may be off
_LONG = 2.0  # times as long as high: such a line says where it runs to
_JUDGED = 32  # lines that the classifier judges
_SURE = 0.2  # its vote up to which lines stand upright; above it, they are read both ways
_TRIED = 5  # lines that are read both ways


def quarters(networks: Networks, pixels: Pixels, quads: Any) -> int:
    """How often the page has to be turned by 90° clockwise until its text is upright.

    The lines run down where most of them are higher than wide. Which end is up the classifier
    says, by the votes of its longest lines; where it does not say that they stand upright,
    reading a few of them both ways decides.
    """
    long = _longest(quads, _JUDGED)
    if not len(long):
        return 0
    down = sum(_length(quad) for quad in long if _runs_down(quad))
    sideways = down > sum(_length(quad) for quad in long) / 2
    lines = [_lying(pixels, quad, sideways) for quad in long if _runs_down(quad) == sideways]
    # A line that runs down is cut as if its page were turned clockwise once.
    return (1 if sideways else 0) + (2 if _on_its_head(networks, lines) else 0)


def askew(quads: Any, step: float = 1.0) -> float:
    """Degrees by which the lines of an upright page fall to the right: the median of the long ones.

    0 where there are few, where they hardly fall or are too short to tell, and where they
    fall more than a page's do. `step` is how exactly quads were found, in pixels.
    """
    import numpy as np

    long = [quad for quad in quads if _length(quad) > 4 * height(quad) and not _runs_down(quad)]
    if len(long) < 2:
        return 0.0
    angles = np.array([math.degrees(math.atan2(*(quad[1] - quad[0])[::-1])) for quad in long])
    order = np.argsort(angles)
    weights = np.cumsum(np.array([_length(quad) for quad in long])[order])
    found = float(angles[order][int(np.searchsorted(weights, weights[-1] / 2))])
    sure = math.degrees(_STEP * step / max(_length(quad) for quad in long))
    return found if max(_STRAIGHT, sure) <= abs(found) <= MOST_ASKEW else 0.0


def cut(pixels: Pixels, quad: Any) -> Pixels:
    """A line as an upright picture of its own."""
    import cv2
    import numpy as np

    wide, high = max(round(_length(quad)), 1), max(round(height(quad)), 1)
    flat = np.array([[0, 0], [wide, 0], [wide, high], [0, high]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.asarray(quad, np.float32), flat)
    return cv2.warpPerspective(
        pixels, matrix, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _on_its_head(networks: Networks, lines: Sequence[Pixels]) -> bool:
    """Whether lines stand on their heads."""
    import numpy as np

    votes = networks.upside_down(lines)
    lengths = [line.shape[1] for line in lines]
    share = float(np.average(votes, weights=lengths)) if votes else 0.0
    # It may be sure of the wrong end, of a single line of prose for one: no page is turned unread.
    return share > _SURE and _read_better(networks, sorted(lines, key=lambda line: line.shape[1])[-_TRIED:])


def _read_better(networks: Networks, lines: Sequence[Pixels]) -> bool:
    """Whether lines are read with more certainty when they are turned by 180°."""
    import numpy as np

    def score(line: Pixels) -> float:
        text, sure = networks.read(line)
        return sure * len(text)

    as_they_are = sum(score(line) for line in lines)
    return sum(score(np.ascontiguousarray(line[::-1, ::-1])) for line in lines) > as_they_are


def _lying(pixels: Pixels, quad: Any, sideways: bool) -> Pixels:
    import cv2

    line = cut(pixels, quad)
    return cv2.rotate(line, cv2.ROTATE_90_CLOCKWISE) if sideways else line


def _longest(quads: Any, count: int) -> list[Any]:
    long = [
        quad for quad in quads if max(_length(quad), height(quad)) > _LONG * min(_length(quad), height(quad))
    ]
    return sorted(long, key=lambda quad: -max(_length(quad), height(quad)))[:count]


def _runs_down(quad: Any) -> bool:
    return height(quad) > _length(quad)


def _length(quad: Any) -> float:
    import numpy as np

    return float(max(np.linalg.norm(quad[1] - quad[0]), np.linalg.norm(quad[2] - quad[3])))


def height(quad: Any) -> float:
    """Pixels from the top of a line's quad to its end."""
    import numpy as np

    return float(max(np.linalg.norm(quad[3] - quad[0]), np.linalg.norm(quad[2] - quad[1])))
