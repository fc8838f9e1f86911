"""A font for text that is found and copied and not seen: each letter an empty glyph, or a box.

DejaVu, or any font, lacks some scripts. A font of empty glyphs has every letter of a document in a
few kilobytes, and its letters are as wide as they were taken to be when words were placed.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from typing import Any

from vlm_app.grounding.formats.lines import DESCENT, advance

NAME = "Invisible"
_UNITS = 1000  # to the em
_RIM, _STROKE, _CAPITAL = 60, 40, 730  # of a box: its air, its line and its height
_MOST = 60_000  # letters that a font can have; nobody's pages use more


def font(letters: Iterable[str], boxes: bool = False) -> bytes:
    """A TrueType font of these letters, of any script, an em high.

    With `boxes` a letter is seen as an empty box: for text that must not vanish where no font of
    the machine has it.
    """
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    codes = sorted({ord(letter) for letter in letters} | {ord(" ")})[:_MOST]
    names = {code: f"u{code:04X}" for code in codes}
    order = [".notdef", *names.values()]
    widths = {".notdef": (_UNITS // 2, 0)}
    widths |= {name: (round(advance(chr(code)) * _UNITS), 0) for code, name in names.items()}
    ascent, descent = round((1 - DESCENT) * _UNITS), -round(DESCENT * _UNITS)
    builder = FontBuilder(_UNITS, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    pens = {name: TTGlyphPen(None) for name in order}
    for name, pen in pens.items() if boxes else ():
        _box(pen, widths[name][0])
    builder.setupGlyf({name: pen.glyph() for name, pen in pens.items()})
    builder.setupHorizontalMetrics(widths)
    builder.setupHorizontalHeader(ascent=ascent, descent=descent)
    builder.setupNameTable({"familyName": NAME, "styleName": "Regular", "fullName": NAME, "psName": NAME})
    builder.setupOS2(sTypoAscender=ascent, sTypoDescender=descent, usWinAscent=ascent, usWinDescent=-descent)
    builder.setupPost(keepGlyphNames=False)
    file = BytesIO()
    builder.save(file)
    return file.getvalue()


def _box(pen: Any, width: int) -> None:
    """The outline of a box as high as a capital; the inner edge runs the other way, so that it is empty."""
    if width > 2 * _RIM:
        for inset, turn in ((_RIM, 1), (_RIM + _STROKE, -1)):
            x0, y0, x1, y1 = inset, inset - _RIM, width - inset, _CAPITAL + _RIM - inset
            corners = [(x0, y0), (x0, y1), (x1, y1), (x1, y0)][::turn]
            pen.moveTo(corners[0])
            for corner in corners[1:]:
                pen.lineTo(corner)
            pen.closePath()
