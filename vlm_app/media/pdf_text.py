"""The text that a page of a PDF holds as characters, line by line, where it is seen.

Runs in the worker, with pdfium. Text that is not drawn is left out: a scan often carries the
reading of another program, unseen beneath or behind its picture, and that is no ground truth.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pypdfium2 import PdfPage, PdfTextPage

MOST_CHARACTERS = 100_000  # of a page; 20 times as many as a crowded one has
WIDE_GAP = 1.5  # times the height of a line: between columns or cells, not between words
THINNEST = 0.005  # times that height: no stroke is thinner, nothing is drawn there
COVERS = 0.9  # of the page: a picture so large is the page itself
_GRID = 1_000_000  # steps to a page's side: pdfium gives places on a page as whole numbers

Bounds = tuple[float, float, float, float]  # left, bottom, right, top in points of the page


@dataclass
class _Line:
    """A line while it grows: its characters, what they cover, and the last one of them."""

    bounds: Bounds
    last: Bounds
    characters: list[str] = field(default_factory=list)


def lines_of(page: PdfPage) -> list[dict[str, Any]]:
    """`text` and `box` of each line, in the order of the file; a box as fractions of what is seen."""
    return [
        {"text": text, "box": box}
        for line in _grouped(page.get_textpage(), _covered(page))
        if (text := _text(line)) and (box := _box(page, line.bounds))
    ]


def _grouped(text: PdfTextPage, covered: set[int]) -> Iterator[_Line]:
    """Lines as pdfium breaks them, cut where a wide gap divides columns or cells."""
    from pypdfium2 import raw

    line: _Line | None = None
    for index in range(min(text.count_chars(), MOST_CHARACTERS)):
        character = chr(raw.FPDFText_GetUnicode(text, index))
        if character in "\r\n":
            if line:
                yield line
            line = None
        elif character.isspace():
            if line:
                line.characters.append(" ")
        elif _drawn(text, index, covered):
            bounds, height = _bounds(text, index)
            if min(bounds[2] - bounds[0], bounds[3] - bounds[1]) < THINNEST * height:
                continue
            if line and _gap(line.last, bounds) > WIDE_GAP * height:
                yield line
                line = None
            line = line or _Line(bounds, bounds)
            line.characters.append(character)
            line.bounds, line.last = _around(line.bounds, bounds), bounds
    if line:
        yield line


def _drawn(text: PdfTextPage, index: int, covered: set[int]) -> bool:
    """Whether a character can be seen: it is drawn, and no picture of the whole page covers it."""
    from pypdfium2 import raw

    piece = raw.FPDFText_GetTextObject(text, index)
    if not piece:
        return True  # pdfium wrote it itself, such as a hyphen
    mode = raw.FPDFTextObj_GetTextRenderMode(piece)
    unseen = (raw.FPDF_TEXTRENDERMODE_INVISIBLE, raw.FPDF_TEXTRENDERMODE_CLIP)
    return mode not in unseen and _address(piece) not in covered


def _covered(page: PdfPage) -> set[int]:
    """The texts that lie under a picture of the whole page: what a scanner's program has read."""
    from pypdfium2 import raw

    width, height = page.get_size()
    texts: list[int] = []
    under = 0
    for piece in page.get_objects(max_depth=1):
        if piece.type == raw.FPDF_PAGEOBJ_TEXT:
            texts.append(_address(piece.raw))
        elif piece.type == raw.FPDF_PAGEOBJ_IMAGE and not raw.FPDFPageObj_HasTransparency(piece):
            left, bottom, right, top = piece.get_bounds()
            if (right - left) * (top - bottom) >= COVERS * width * height:
                under = len(texts)
    return set(texts[:under])


def _address(piece: Any) -> int:
    return ctypes.cast(piece, ctypes.c_void_p).value or 0


def _bounds(text: PdfTextPage, index: int) -> tuple[Bounds, float]:
    """What the ink of a character covers, and how high its line is, in points."""
    loose = text.get_charbox(index, loose=True)
    left, bottom, right, top = text.get_charbox(index)
    # The loose box is as high as the font; of turned text its longer side is.
    height = max(loose[2] - loose[0], loose[3] - loose[1])
    inked = right > left and top > bottom
    return ((left, bottom, right, top) if inked else loose), height


def _gap(one: Bounds, other: Bounds) -> float:
    """The distance between two boxes, along the axis on which they are further apart."""
    across = max(one[0], other[0]) - min(one[2], other[2])
    down = max(one[1], other[1]) - min(one[3], other[3])
    return max(across, down)


def _around(one: Bounds, other: Bounds) -> Bounds:
    return (min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3]))


def _text(line: _Line) -> str:
    """One line without double spaces and without what no font shows."""
    # pdfium marks a hyphen at a line's end by one of two characters that are none.
    text = "".join("-" if each in "\x02\ufffe" else each for each in line.characters)
    # Where it gives halves of UTF-16, they are joined.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return " ".join("".join(each for each in text if each.isprintable() and each != "\ufffd").split())


def _box(page: PdfPage, bounds: Bounds) -> Bounds | None:
    """Fractions of the page as it is drawn, turned and cropped; None where nothing is in sight."""
    left, top = _place(page, bounds[0], bounds[3])
    right, bottom = _place(page, bounds[2], bounds[1])
    x0, x1 = (min(max(each, 0.0), 1.0) for each in sorted((left, right)))
    y0, y1 = (min(max(each, 0.0), 1.0) for each in sorted((top, bottom)))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _place(page: PdfPage, x: float, y: float) -> tuple[float, float]:
    from pypdfium2 import raw

    across, down = ctypes.c_int(), ctypes.c_int()
    raw.FPDF_PageToDevice(page, 0, 0, _GRID, _GRID, 0, x, y, across, down)
    return across.value / _GRID, down.value / _GRID
