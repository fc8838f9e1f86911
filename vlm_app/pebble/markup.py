"""How Pebble writes regions: `<ref>label` followed by location tokens.

Four tokens are a box (x0, y0, x1, y1), two a point (x, y); token n stands for
(n + 0.5) / 256 of the image's width or height.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

REF = "<ref>"
BINS = 256
LOCATIONS = tuple(f"<loc_{n}>" for n in range(BINS))


def location(value: float) -> str:
    """The token for a coordinate in 0..1."""
    return LOCATIONS[min(BINS - 1, max(0, int(value * BINS)))]


def region(label: str, coordinates: Sequence[float]) -> str:
    """`label` with its box (four numbers in 0..1) or point (two)."""
    if len(coordinates) not in (2, 4):
        raise ValueError(f"a region has two or four coordinates, found {len(coordinates)}")
    return REF + label + "".join(location(value) for value in coordinates)


_REGION = re.compile(r"<ref>([^<]*)((?:<loc_\d{1,3}>)+)")


def read_regions(text: str) -> list[tuple[str, tuple[float, ...]]]:
    """(label, coordinates) of each region of two or four locations in `text`; others are left out."""
    found = []
    for label, places in _REGION.findall(text):
        numbers = [int(n) for n in re.findall(r"\d+", places)]
        if len(numbers) in (2, 4) and max(numbers) < BINS:
            found.append((label.strip(), tuple((n + 0.5) / BINS for n in numbers)))
    return found
