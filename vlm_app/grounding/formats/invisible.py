"""A font for text that is found and copied and never seen: each letter an empty glyph.

DejaVu, or any font, lacks some scripts. A font of empty glyphs has every letter of a document in a
few kilobytes, and its letters are as wide as they were taken to be when words were placed.
"""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO

from vlm_app.grounding.formats.lines import DESCENT, advance

NAME = "Invisible"
_UNITS = 1000  # to the em
_MOST = 60_000  # letters that a font can have; nobody's pages use more


def font(letters: Iterable[str]) -> bytes:
    """A TrueType font of these letters, of any script, an em high."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.ttLib.tables._g_l_y_f import Glyph

    codes = sorted({ord(letter) for letter in letters} | {ord(" ")})[:_MOST]
    names = {code: f"u{code:04X}" for code in codes}
    order = [".notdef", *names.values()]
    widths = {".notdef": (_UNITS // 2, 0)}
    widths |= {name: (round(advance(chr(code)) * _UNITS), 0) for code, name in names.items()}
    ascent, descent = round((1 - DESCENT) * _UNITS), -round(DESCENT * _UNITS)
    builder = FontBuilder(_UNITS, isTTF=True)
    builder.setupGlyphOrder(order)
    builder.setupCharacterMap(names)
    builder.setupGlyf({name: Glyph() for name in order})
    builder.setupHorizontalMetrics(widths)
    builder.setupHorizontalHeader(ascent=ascent, descent=descent)
    builder.setupNameTable({"familyName": NAME, "styleName": "Regular", "fullName": NAME, "psName": NAME})
    builder.setupOS2(sTypoAscender=ascent, sTypoDescender=descent, usWinAscent=ascent, usWinDescent=-descent)
    builder.setupPost(keepGlyphNames=False)
    file = BytesIO()
    builder.save(file)
    return file.getvalue()
