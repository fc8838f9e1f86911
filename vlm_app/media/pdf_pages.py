"""Pages of a PDF: their sizes, their pixels, their text. Runs in the worker, with pdfium.

pdfium is C++ and serves one thread at a time; here it has a process of its own, which is killed
where a page takes too long. A file is opened for each job and closed after it: that takes a few
milliseconds, and what one page held in memory is gone before the next one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.media import names
from vlm_app.media.decode import WIDEST, Unreadable
from vlm_app.media.pdf_text import lines_of

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

POINTS = 72  # to an inch
HEAD = 1024  # bytes at whose start, or a little later, a PDF says what it is
FEWEST_DPI = 2.0  # under which nothing of a page can be seen any more
_LETTER = (612.0, 792.0)  # points: what pdfium takes a page without a size to be


def work(arguments: dict[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """The worker's job `document`: `path` and what is wanted in, JSON values and pixels out.

    `want` is `sizes` (with `most` pages), `picture` (with `page` from 0, `dpi`, `max_pixels`)
    or `lines` (with `page`).
    """
    with _opened(Path(arguments["path"])) as document:
        if arguments["want"] == "sizes":
            return {"sizes": _sizes(document, int(arguments["most"]))}, b""
        page = _page(document, int(arguments["page"]))
        if arguments["want"] == "lines":
            return {"lines": lines_of(page)}, b""
        return _picture(page, float(arguments["dpi"]), int(arguments["max_pixels"]))


@contextmanager
def _opened(path: Path) -> Iterator[PdfDocument]:
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        raise Unreadable(_why(error.err_code, path)) from error
    try:
        document.init_forms()  # so that fields are drawn; must come before the first page
        yield document
    finally:
        document.close()


def _why(code: int | None, path: Path) -> str:
    """Why pdfium did not open a file."""
    from pypdfium2 import raw

    with path.open("rb") as file:
        head = file.read(HEAD)
    if code == raw.FPDF_ERR_PASSWORD:
        return "is protected with a password: save a copy without one and open that."
    if code == raw.FPDF_ERR_SECURITY:
        return "is encrypted in a way that is not known here: save a copy without protection and open that."
    if b"%PDF-" not in head:
        return f"is not a PDF document: expected one, found {names.kind_of(head)}."
    # pdfium says the same of a file without pages.
    return "is damaged or cut off: expected a PDF with pages, found none; copy or download it again."


def _sizes(document: PdfDocument, most: int) -> list[tuple[float, float]]:
    """(width, height) of each page as it is seen, in points."""
    pages = len(document)
    if pages > most:
        raise Unreadable(
            f"has {pages:,} pages, more than the {most} that are opened here: "
            "save the pages that you need as a PDF of their own."
        )
    return [_size(document, index) for index in range(pages)]


def _size(document: PdfDocument, index: int) -> tuple[float, float]:
    from pypdfium2 import PdfiumError

    try:
        width, height = document.get_page_size(index)
    except PdfiumError:  # a broken page among good ones is told of when it is asked for
        return _LETTER
    return (width, height) if width > 0 and height > 0 else _LETTER


def _page(document: PdfDocument, index: int) -> PdfPage:
    from pypdfium2 import PdfiumError

    try:
        return document[index]
    except (PdfiumError, IndexError) as error:
        raise Unreadable(
            "is damaged: the file names this page but does not hold it; copy or download it again."
        ) from error


def _picture(page: PdfPage, dpi: float, max_pixels: int) -> tuple[dict[str, Any], bytes]:
    """The page on white with its fields and annotations, upright, at most `max_pixels`."""
    width, height = page.get_size()
    drawn = _dpi(width, height, dpi, max_pixels)
    bitmap = page.render(scale=drawn / POINTS, rev_byteorder=True)
    note = "" if drawn == dpi else f"drawn at {drawn:.3g} dpi, not {dpi:.3g}: {_measures(width, height)}"
    return {"size": (bitmap.width, bitmap.height), "note": note}, bytes(bitmap.buffer)


def _dpi(width: float, height: float, dpi: float, max_pixels: int) -> float:
    """The resolution at which a page is drawn: the one asked for, or the most that is allowed."""
    if not max(width, height) <= WIDEST * min(width, height):
        raise Unreadable(
            f"cannot be shown: {_measures(width, height)}, too narrow for a model to see anything."
        )
    most = most_dpi(width, height, max_pixels)
    if most < FEWEST_DPI:
        raise Unreadable(f"cannot be shown: {_measures(width, height)}; print it on smaller paper first.")
    return min(dpi, most)


def most_dpi(width: float, height: float, max_pixels: int) -> float:
    """The highest resolution at which a page of so many points has at most `max_pixels`."""
    most = POINTS * math.sqrt(max_pixels / width / height)
    while math.prod(drawn_size(width, height, most)) > max_pixels and most > FEWEST_DPI:
        most *= 0.999  # the last row and column may be parts of a pixel
    return most


def drawn_size(width: float, height: float, dpi: float) -> tuple[int, int]:
    """(width, height) in pixels of a page of so many points."""
    scale = dpi / POINTS
    return math.ceil(width * scale), math.ceil(height * scale)


def _measures(width: float, height: float) -> str:
    across, down = (side / POINTS * 2.54 for side in (width, height))
    return f"the page measures {across:,.4g} × {down:,.4g} cm"
