"""Lines of text as one text: in reading order, rows as rows, paragraphs apart."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from vlm_app.grounding.formats.order import reading_rows
from vlm_app.ocr.reader import Line, Read
from vlm_app.types import Region

CELL = "  "  # between the cells of a row
_APART = 0.75  # of a line's height, and
_WIDER = 1.6  # times the usual gap: so much is between paragraphs


def laid_out(read: Read, image: int = 0, start: int = 0) -> tuple[str, tuple[Region, ...]]:
    """The text of a page and a region for each line, with its span.

    Cells of a row are parted by two spaces, rows by a line break, paragraphs and columns by
    an empty line. `image` is the picture that the regions lie on; `start` is where its text
    begins in the answer's.
    """
    rows = reading_rows([line.box for line in read.lines])
    breaks = _breaks(read.lines, rows)
    text = ""
    regions: list[Region] = []
    for row, gap in zip(rows, breaks, strict=True):
        text += gap
        for number, one in enumerate(row):
            line = read.lines[one]
            text += CELL if number else ""
            span = (start + len(text), start + len(text) + len(line.text))
            text += line.text
            regions.append(_region(line, image, span))
    return text, tuple(regions)


def _region(line: Line, image: int, span: tuple[int, int]) -> Region:
    return Region(line.text, line.quad, image=image, text=line.text, score=line.score, span=span)


def _breaks(lines: Sequence[Line], rows: Sequence[Sequence[int]]) -> list[str]:
    """What stands before each row."""
    tops = [min(lines[one].box.y0 for one in row) for row in rows]
    ends = [max(lines[one].box.y1 for one in row) for row in rows]
    gaps = [top - end for top, end in zip(tops[1:], ends, strict=False)]
    below = [gap for gap in gaps if gap > -0.5]
    high = median(line.box.y1 - line.box.y0 for line in lines) if lines else 0.0
    usual = max(median(below), 0.0) if len(below) > 1 else high / 2  # one gap does not say what is usual
    found = [""] if rows else []
    for gap in gaps:
        # A row above the one before it begins another column.
        far = gap > max(_APART * high, _WIDER * usual) or gap < -2 * high
        found.append("\n\n" if far else "\n")
    return found


__all__ = ["CELL", "laid_out"]
