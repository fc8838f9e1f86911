"""A searchable PDF: each image is a page, and what was read lies over it as invisible text."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vlm_app.errors import BadInput
from vlm_app.grounding.formats import invisible
from vlm_app.grounding.formats.files import smaller
from vlm_app.grounding.formats.lines import DESCENT, Line, lines, runs_left, width_of
from vlm_app.grounding.formats.result import Result, plain

if TYPE_CHECKING:
    from fpdf import FPDF
    from PIL.Image import Image

DPI = 144  # of a page: an image of 1,224 × 1,584 pixels is a letter page
LARGEST = 14_400  # points: the longest side that PDF has; a longer image is scaled to it
_STRAIGHT = 0.3  # degrees: a line of a page's width still has one baseline for readers
_ASKEW = 8.0  # degrees off upright: more is meant, as in a stamp
_NARROWEST = 2.0  # times as high as its letters are wide: of higher text readers miss the spaces


def write(result: Result) -> bytes:
    """All images of a result, each on a page of its own, opened one after the other.

    Raises:
        BadInput: there is no image, or one cannot be opened.
    """
    from fpdf import FPDF

    if not result.images:
        raise BadInput("A PDF shows images and there are none: give one before the question.")
    pages = [lines(result, number) for number in range(len(result.images))]
    letters = invisible.font(letter for page in pages for line in page for letter in line.text)
    pdf = FPDF(unit="pt")
    pdf.set_auto_page_break(False)
    pdf.set_title(plain(", ".join(source.name for source in result.images)))
    pdf.set_creator("vlm-app")
    with fonts(pdf, {invisible.NAME: letters}):
        for source, page in zip(result.images, pages, strict=True):
            _page(pdf, source.opened(), page)
        return bytes(pdf.output())


@contextmanager
def fonts(pdf: FPDF, named: Mapping[str, bytes | Path]) -> Iterator[None]:
    """Fonts for a document that is made and written inside; fpdf2 reads their files at the end."""
    from fpdf.fonts import TTFFont

    with TemporaryDirectory(prefix="vlm-app.") as folder:
        for number, (name, font) in enumerate(named.items()):
            path = font if isinstance(font, Path) else Path(folder) / f"{number}.ttf"
            if isinstance(font, bytes):
                path.write_bytes(font)
            pdf.add_font(name, fname=path)
        try:
            yield
        finally:
            for each in pdf.fonts.values():
                if isinstance(each, TTFFont):
                    each.close()


def _page(pdf: FPDF, pixels: Image, found: list[Line]) -> None:
    from fpdf.enums import TextMode

    scale = min(72 / DPI, LARGEST / max(pixels.size))
    width, height = (max(side * scale, 3.0) for side in pixels.size)  # PDF has no smaller page
    pdf.add_page(orientation="portrait", format=(width, height))
    pdf.image(BytesIO(smaller(pixels)), x=0, y=0, w=width, h=height)
    with pdf.local_context(text_mode=TextMode.INVISIBLE):
        for line in found:
            _text(pdf, line, scale)


def _text(pdf: FPDF, line: Line, scale: float) -> None:
    """A line as high and as wide as its place, turned as it is; word by word where readers need it.

    They take letters whose baselines differ by half a point for different words, so the words of
    a line that is a little askew stand upright, each at its place; and they keep the words of
    Arabic and Hebrew in the order in which they stand in the file.
    """
    quarter = round(line.angle / 90) * 90
    askew = _STRAIGHT < abs(line.angle - quarter) <= _ASKEW
    if not askew and not runs_left(line.text):
        _stretch(pdf, line.text, line, 0.0, line.width, line.angle, scale)
        return
    for word in line.words:
        _stretch(pdf, word.text, line, word.start, word.end, quarter if askew else line.angle, scale)


def _stretch(pdf: FPDF, text: str, line: Line, start: float, end: float, angle: float, scale: float) -> None:
    """Text from `start` to `end` along a line, at an angle about its middle."""
    width = max((end - start) * scale, 1e-3)
    size = max(min(line.height * scale, _NARROWEST * width / width_of(text)), 0.1)
    middle = [value * scale for value in line.at((start + end) / 2, line.height / 2)]
    pdf.set_font(invisible.NAME, size=size)
    pdf.set_stretching(width / (width_of(text) * size) * 100)
    with pdf.rotation(-angle, *middle):
        pdf.text(middle[0] - width / 2, middle[1] + size * (0.5 - DESCENT), as_seen(text, runs_left(text)))


def as_seen(text: str, leftwards: bool) -> str:
    """Letters in the order in which they stand from left to right, as PDF has them in any language.

    `leftwards` says whether the paragraph is one of Arabic or Hebrew.
    """
    from fpdf.bidi import BidiParagraph
    from fpdf.enums import TextDirection

    if not any(unicodedata.bidirectional(letter) in ("R", "AL") for letter in text):
        return text
    direction = TextDirection.RTL if leftwards else TextDirection.LTR
    return BidiParagraph(text, direction).get_reordered_string()
