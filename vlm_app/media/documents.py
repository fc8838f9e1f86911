"""Documents: a PDF's pages as pictures, and the text that they hold as characters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vlm_app.errors import BadInput
from vlm_app.media.images import picture_of
from vlm_app.media.names import format_of, subject, why_unread
from vlm_app.media.pdf_pages import HEAD, drawn_size, most_dpi
from vlm_app.media.pool import Job, Pool, Reply
from vlm_app.types import Box, Picture, Region

if TYPE_CHECKING:
    from vlm_app.limits import Limits
    from vlm_app.settings import Settings

DPI = 144.0  # a page of A4 is 1,191 × 1,684 pixels: its small print can be read
MOST_DPI = 1200.0


def is_document(path: Path, name: str = "") -> bool:
    """Whether a file is to be opened as a document: what it holds counts, then how it is called."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError):
        head = b""
    named = Path(name or path.name).suffix.lower() == ".pdf"
    return not format_of(head) and (named or b"%PDF-" in head)


def open_document(path: Path, name: str = "", limits: Limits | None = None) -> Document:
    """Open a PDF in a worker process, within the limits of the settings.

    Args:
        path: where the file lies. It is read again for each page and must stay there.
        name: how the user knows it; by default the path's last part.
        limits: of whoever opens it, where they are narrower than the settings.

    Raises:
        BadInput: one sentence for a file that is empty, broken, no PDF, protected with a
            password, without pages, or has more bytes or pages than are opened.
    """
    name = name or path.name
    _check(path, name)
    if limits and limits.document_bytes is not None:
        check_size(path, name, limits.document_bytes)
    most = limits.pages if limits else _settings().max_pages
    reply = _asked(path, {"want": "sizes", "most": most}, "print it to a new PDF and open that")
    if reply.problem:
        raise BadInput(f"{subject(name, 'document')} {reply.problem}")
    sizes = tuple((width, height) for width, height in reply.values["sizes"])
    return Document(path, name, sizes, limits.pixels if limits else None)


@dataclass(frozen=True, slots=True)
class Document:
    """An opened document. `sizes` are its pages' (width, height) as they are seen, in points.

    `most_pixels` are those of a drawn page, where they are fewer than the settings allow. Numbers
    of pages count from 1. No page is held between two calls, here or in the worker.
    """

    path: Path
    name: str
    sizes: tuple[tuple[float, float], ...]
    most_pixels: int | None = None

    @property
    def pages(self) -> int:
        return len(self.sizes)

    def picture(self, number: int, dpi: float = DPI) -> Picture:
        """A page as it is printed: upright, on white, with form fields and annotations.

        Args:
            number: of the page, from 1.
            dpi: pixels to an inch. A page that would be larger than what is allowed is
                drawn with fewer, and its `note` says so.

        Raises:
            BadInput: one sentence that names the page, where it is not there, is broken, or
                takes too long.
        """
        if not 1.0 <= dpi <= MOST_DPI:
            raise BadInput(
                f"Pages are drawn at 1 to {MOST_DPI:,.0f} dpi, found {dpi:g}: choose one of these."
            )
        reply = self._of_page(number, want="picture", dpi=dpi, max_pixels=self._most)
        return picture_of(reply)

    def pixels(self, number: int, dpi: float = DPI) -> tuple[int, int]:
        """(width, height) in which `picture` draws a page, known without drawing it."""
        width, height = self.sizes[number - 1]
        return drawn_size(width, height, min(dpi, most_dpi(width, height, self._most)))

    @property
    def _most(self) -> int:
        most = _settings().max_pixels
        return most if self.most_pixels is None else min(most, self.most_pixels)

    def lines(self, number: int) -> tuple[Region, ...]:
        """The text that a page holds as characters: one region a line, with `text` and a box.

        Its box covers the line's ink. A wide gap, as between columns or cells, ends a line. A
        scan has none, also where its file carries another program's reading of it unseen.

        Raises:
            BadInput: as `picture`.
        """
        reply = self._of_page(number, want="lines")
        return tuple(
            Region(line["text"], Box(*line["box"]), text=line["text"]) for line in reply.values["lines"]
        )

    def close(self) -> None:
        """Nothing stays open between two pages: here so that documents and videos are used alike."""

    def __enter__(self) -> Document:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _of_page(self, number: int, **arguments: Any) -> Reply:
        called = subject(self.name, "document")
        if not 1 <= number <= self.pages:
            there = f"pages 1 to {self.pages}" if self.pages > 1 else "page 1 alone"
            raise BadInput(f"{called} has no page {number}: it has {there}.")
        _check(self.path, self.name)
        advice = "leave it out, or print it to a new PDF and open that"
        reply = _asked(self.path, {**arguments, "page": number - 1}, advice)
        if reply.problem:
            raise BadInput(f"Page {number} of {called.replace('The', 'the', 1)} {reply.problem}")
        return reply


def _check(path: Path, name: str) -> None:
    """Whether there is a file to read, before a worker is asked."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise BadInput(f"{subject(name, 'document')} {why_unread(error, 'a PDF')}") from error
    except ValueError as error:  # a path with a NUL
        raise BadInput(f"{subject(name, 'document')} is not the name of a file: choose a PDF.") from error
    if empty:
        raise BadInput(f"{subject(name, 'document')} is empty (0 bytes): choose another PDF.")


def check_size(path: Path, name: str, most: int) -> None:
    """Raises `BadInput` for a file of more bytes than `most`."""
    size = path.stat().st_size
    if size > most:
        raise BadInput(
            f"{subject(name, 'document')} has {size / 1e6:,.3g} MB, more than the {most / 1e6:,.3g} MB of a "
            "document that are opened here: make it smaller, or save the pages that you need."
        )


def _asked(path: Path, arguments: Mapping[str, Any], advice: str) -> Reply:
    settings = _settings()
    job = Job(
        "document",
        {**arguments, "path": str(path.resolve())},
        seconds=settings.decode_seconds,
        most=3 * settings.max_pixels,
        advice=advice,
    )
    return _pool().run(job)


def _settings() -> Settings:
    from vlm_app.settings import settings  # pydantic is slow to start, and the worker imports this package

    return settings()


@cache
def _pool() -> Pool:
    # Its own workers: a page that takes its time keeps nobody from opening images. Beside the
    # page, pdfium decodes the pictures on it.
    return Pool(memory=1_000_000_000 + 12 * _settings().max_pixels)
