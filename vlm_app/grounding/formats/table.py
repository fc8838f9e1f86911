"""A table of regions for a spreadsheet: CSV, one region a line."""

from __future__ import annotations

import csv
from io import StringIO

from vlm_app.grounding.formats.files import utf8
from vlm_app.grounding.formats.result import Result
from vlm_app.grounding.shapes import bounds
from vlm_app.types import Point, Polygon, Region

COLUMNS = "image name label kind text score left top right bottom points".split()
_DIGITS = 2  # of a pixel
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def write(result: Result) -> bytes:
    """CSV as of RFC 4180, in UTF-8 with the mark by which Excel knows it. Places are in pixels."""
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_row(region, result) for region in result.regions)
    return b"\xef\xbb\xbf" + utf8(text.getvalue())


def _row(region: Region, result: Result) -> list[str | int | float]:
    image = result.images[region.image]
    sides = [
        round(value * side, _DIGITS)
        for value, side in zip(bounds(region.shape).xyxy, image.size * 2, strict=True)
    ]
    score = "" if region.score is None else region.score
    words = [harmless(part) for part in (image.name, region.label, region.kind, region.text or "")]
    return [region.image + 1, *words, score, *sides, _points(region, image.size)]


def _points(region: Region, size: tuple[int, int]) -> str:
    """The corners of a polygon, or the point: 'x y' in pixels, a comma between two."""
    shape = region.shape
    points = shape.points if isinstance(shape, Polygon) else [shape] if isinstance(shape, Point) else []
    return ", ".join(f"{point.x * size[0]:.{_DIGITS}f} {point.y * size[1]:.{_DIGITS}f}" for point in points)


def harmless(text: str) -> str:
    """A cell that a spreadsheet does not run: what begins like a formula gets an apostrophe.

    Source: https://owasp.org/www-community/attacks/CSV_Injection. NUL ends a cell in some readers.
    """
    text = text.replace("\0", "")
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
