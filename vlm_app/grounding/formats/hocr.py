"""hOCR: what was read as HTML that other OCR tools take, a page for each image.

Source: https://kba.github.io/hocr-spec/1.2/. Boxes are whole pixels: left, top, right, bottom.
"""

from __future__ import annotations

import math
from html import escape

from vlm_app import __version__
from vlm_app.grounding.formats.files import utf8
from vlm_app.grounding.formats.lines import DESCENT, Line, lines
from vlm_app.grounding.formats.result import Result, Source, plain

_STEEP = 45  # degrees: a line that is turned by less has a sloping baseline, one by more an angle
_ASKEW = 0.05  # degrees: less than a pixel on the widest page

_HEAD = """<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta charset="utf-8"/>
<title>{title}</title>
<meta name="ocr-system" content="{system}"/>
<meta name="ocr-number-of-pages" content="{pages}"/>
<meta name="ocr-capabilities" content="ocr_page ocr_line ocrx_word"/>
<style>.ocr_line {{ display: block }}</style>
</head>
<body>
"""


def write(result: Result) -> bytes:
    """All images of a result, each with its located text in reading order."""
    system = plain(f"vlm-app {__version__} {result.model}")
    title = ", ".join(source.name for source in result.images)
    head = _HEAD.format(title=escape(plain(title)), system=escape(system), pages=len(result.images))
    pages = [_page(result, number) for number in range(len(result.images))]
    return utf8("\n".join([head.rstrip(), *pages, "</body>", "</html>", ""]))


def _page(result: Result, number: int) -> str:
    source = result.images[number]
    width, height = source.size
    title = f'image "{_quoted(source)}"; bbox 0 0 {width} {height}; ppageno {number}'
    found = [_line(line, f"{number + 1}_{n}", source) for n, line in enumerate(lines(result, number), 1)]
    begin = f'<div class="ocr_page" id="page_{number + 1}" title="{escape(title)}">'
    return "\n".join([begin, *found, "</div>"])


def _quoted(source: Source) -> str:
    """A name inside the quotes of a property, which know no escape and end at a semicolon."""
    return "".join("_" if character in '";\\' else character for character in plain(source.name))


def _line(line: Line, name: str, source: Source) -> str:
    words = [
        _span(
            "ocrx_word",
            f"word_{name}_{n}",
            [_bbox(line, word.start, word.end, source), *_wconf(line)],
            word.text,
        )
        for n, word in enumerate(line.words, 1)
    ]
    properties = [_bbox(line, 0.0, line.width, source), *_turn(line)]
    return _span("ocr_line", f"line_{name}", properties, None, " ".join(words))


def _span(kind: str, name: str, properties: list[str], text: str | None, inside: str = "") -> str:
    held = inside if text is None else escape(text)
    return f'<span class="{kind}" id="{name}" title="{"; ".join(properties)}">{held}</span>'


def _bbox(line: Line, start: float, end: float, source: Source) -> str:
    """The box around a stretch of a line, rounded to pixels of the page."""
    sides = zip(line.bounds(start, end), source.size * 2, strict=True)
    return "bbox " + " ".join(str(min(max(round(value), 0), side)) for value, side in sides)


def _wconf(line: Line) -> list[str]:
    return [] if line.score is None else [f"x_wconf {line.score * 100:.0f}"]


def _turn(line: Line) -> list[str]:
    """How the text stands in its box: its baseline, or its angle counter-clockwise.

    The baseline's slope falls to the right where it is positive, and its offset counts from the
    box's left bottom corner, as Tesseract writes both.
    """
    if abs(line.angle) > _STEEP:
        return [f"textangle {-line.angle % 360:.2f}"]
    left, _, _, bottom = line.bounds(0.0, line.width)
    slope = math.tan(math.radians(line.angle)) if abs(line.angle) > _ASKEW else 0.0
    x, y = line.at(0.0, line.height * (1 - DESCENT))
    return [f"baseline {slope:.4g} {round(y - slope * (x - left) - bottom)}"]
