"""A report as a PDF of A4 pages. Imported only when one is made: fpdf2 takes a moment."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from fpdf import FPDF

from vlm_app.grounding.fonts import face
from vlm_app.grounding.formats import invisible
from vlm_app.grounding.formats.files import smaller
from vlm_app.grounding.formats.lines import runs_left
from vlm_app.grounding.formats.pdf import as_seen, fonts

if TYPE_CHECKING:
    from PIL.Image import Image

    from vlm_app.workbench.report import Shown

TEXT, BOLD = "Text", "Bold"
_RARE = 0x0250  # below lie Latin letters, which DejaVu has all of
_INK, _MUTED, _LINE = (36, 34, 31), (107, 102, 95), (212, 206, 197)
_MARGIN = 18.0  # millimetres, as all lengths here
_PART, _GAP = 104.0, 8.0  # the widest picture, and the space to the words beside it
_TALLEST = 88.0  # the highest picture
_SMALL = 38.0  # the longer side of the picture that says where a part lies
_BESIDE = 110.0  # words that need more height stand below the picture
_AIR = 9.0  # above and below the line between two parts

# Font, size in points, height of a line, space above, colour.
_Style = tuple[str, float, float, float, tuple[int, int, int]]
_PLACE: _Style = (TEXT, 8.5, 4.4, 0.0, _MUTED)
_NAME: _Style = (BOLD, 12.0, 6.0, 1.0, _INK)
_SENTENCE: _Style = (TEXT, 10.0, 5.2, 2.0, _INK)


def paper(title: str, about: str, clippings: Iterable[Shown], written: str) -> bytes:
    """The file; one picture after the other is drawn and added. `written` has all of its letters."""
    sheet = Sheet(format="A4")
    sheet.set_title(title)
    sheet.set_creator("vlm-app")
    used = _fonts(written)
    with fonts(sheet, used):
        sheet.set_fallback_fonts([name for name in used if name not in (TEXT, BOLD)], False)
        sheet.begin(title, about)
        for one in clippings:
            sheet.add(one)
        return bytes(sheet.output())


def _fonts(written: str) -> dict[str, Path | bytes]:
    """DejaVu Sans, fonts of the machine for letters that it lacks, and boxes for what none has."""
    dejavu = Path(str(face("", 10).path))
    rare = {letter for letter in written if ord(letter) >= _RARE}
    others = {str(face(letter, 10).path) for letter in rare} - {str(dejavu)}
    found: dict[str, Path | bytes] = {TEXT: dejavu, BOLD: dejavu.with_name("DejaVuSans-Bold.ttf")}
    found |= {f"Other{number}": Path(path) for number, path in enumerate(sorted(others))}
    return found | ({"Boxes": invisible.font(rare, boxes=True)} if rare else {})


class Sheet(FPDF):
    """Pages with a number at their foot; parts are not divided between two unless they must."""

    def footer(self) -> None:
        """FPDF calls it at the end of each page."""
        self.set_y(-12)
        self.set_font(TEXT, size=8)
        self.set_text_color(*_MUTED)
        self.cell(0, 4, str(self.page_no()), align="C")

    def begin(self, title: str, about: str) -> None:
        """The first page with the title."""
        self.set_margin(_MARGIN)
        self.set_auto_page_break(True, _MARGIN)
        self.set_draw_color(*_LINE)
        self.set_line_width(0.2)
        self.c_margin = 0.0  # words begin where pictures do
        self.add_page()
        for style, words in (((BOLD, 20.0, 9.5, 0.0, _INK), title), ((TEXT, 9.5, 5.0, 2.0, _MUTED), about)):
            self._write([(style, words)], _MARGIN, self.epw)
        self.ln(_AIR)

    def add(self, one: Shown) -> None:
        """One part with its picture at the left, its words and its place in the whole at the right."""
        width, height = _fitting(one.part, _PART, _TALLEST)
        left = _MARGIN + _PART + _GAP
        across = self.epw - _PART - _GAP
        head = [(_PLACE, one.place), (_NAME, one.name)]
        body = [(_SENTENCE, one.sentence)]
        below = self._height([*head, *body], across) > _BESIDE
        words = head if below else [*head, *body]
        small = (0.0, 0.0) if one.whole is None else _fitting(one.whole, _SMALL, _SMALL)
        beside = self._height(words, across) + (small[1] + 5 if one.whole else 0)
        self._make_room(max(height, beside))
        top = self.get_y()
        self._picture(one.part, _MARGIN, top, (width, height))
        self._write(words, left, across)
        if one.whole is not None:
            self._picture(one.whole, left, self.get_y() + 5, small)
        self.set_y(top + max(height, beside))
        if below:
            self.ln(4)
            self._write(body, _MARGIN, self.epw)
        self.ln(_AIR)

    def _picture(self, image: Image, left: float, top: float, size: tuple[float, float]) -> None:
        """With a hairline around it, since a page is as white as the paper."""
        self.image(BytesIO(smaller(image)), x=left, y=top, w=size[0], h=size[1])
        self.rect(left, top, *size)

    def _make_room(self, height: float) -> None:
        """A new page where so much does not fit on this one, else a line below what stands there."""
        if self.get_y() + _AIR + height > self.h - _MARGIN and self.get_y() > _MARGIN:
            self.add_page()
            return
        self.line(_MARGIN, self.get_y(), self.w - _MARGIN, self.get_y())
        self.ln(_AIR)

    def _height(self, texts: Sequence[tuple[_Style, str]], width: float) -> float:
        return sum(
            style[3] + style[2] * len(self._lines(style, words, width)) for style, words in texts if words
        )

    def _lines(self, style: _Style, words: str, width: float) -> list[str]:
        """Words broken to a width, each line as it is seen from left to right."""
        self.set_font(style[0], size=style[1])
        found: list[str] = []
        for paragraph in words.splitlines():
            lines = self.multi_cell(width, style[2], paragraph, dry_run=True, output="LINES", align="L")
            assert isinstance(lines, list), "fpdf2 gives the lines where it is asked for them"
            found += [as_seen(str(line), runs_left(paragraph)) for line in lines]
        return found

    def _write(self, texts: Sequence[tuple[_Style, str]], left: float, width: float) -> None:
        """Texts below each other from where the pen is; they go on on the next page if they must."""
        for style, words in texts:
            lines = self._lines(style, words, width) if words else []
            align = "R" if runs_left(words) else "L"
            self.set_y(self.get_y() + (style[3] if lines else 0))
            for line in lines:
                if self.will_page_break(style[2]):
                    self.add_page()
                self.set_x(left)
                self.set_font(style[0], size=style[1])
                self.set_text_color(*style[4])
                self.cell(width, style[2], line, align=align, new_x="LMARGIN", new_y="NEXT")


def _fitting(image: Image, width: float, height: float) -> tuple[float, float]:
    """The size of a picture, as large as fits into a width and a height."""
    scale = min(width / image.width, height / image.height)
    return image.width * scale, image.height * scale
