"""From files to a new sheet: what they are, and that each can be opened."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vlm_app import limits
from vlm_app.errors import BadInput
from vlm_app.grounding.formats.result import plain
from vlm_app.media import open_image, thumbnail
from vlm_app.media.documents import is_document, open_document
from vlm_app.media.names import format_of, subject, why_unread
from vlm_app.media.videos import open_video
from vlm_app.workbench.cache import Cache
from vlm_app.workbench.pages import SMALL, origin, small_key
from vlm_app.workbench.rows import Body
from vlm_app.workbench.sheet import Kind, Page, Sheet
from vlm_app.workbench.sheets import Opened, Sheets

MOST_IMAGES = 100  # on one sheet
_THREADS = 2  # as many as there are decode workers
LONGEST_NAME = 200  # characters
_SNIFFED = 1024  # bytes

# How videos begin, and the media type by which a browser may play them.
_VIDEOS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"....ftypqt", re.DOTALL), "video/quicktime"),
    (re.compile(rb"....ftyp(?!hei|hev|mif1|msf1|avi[fs])", re.DOTALL), "video/mp4"),
    (re.compile(rb"....(moov|mdat|wide|free)", re.DOTALL), "video/quicktime"),
    (re.compile(rb"\x1aE\xdf\xa3.{0,64}webm", re.DOTALL), "video/webm"),
    (re.compile(rb"\x1aE\xdf\xa3"), "video/x-matroska"),
    (re.compile(rb"RIFF....AVI ", re.DOTALL), "video/x-msvideo"),
    (re.compile(rb"OggS"), "video/ogg"),
    (re.compile(rb"FLV\x01"), "video/x-flv"),
    (re.compile(rb"\x00\x00\x01[\xba\xb3]"), "video/mpeg"),
    (re.compile(rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), "video/x-ms-wmv"),
    (re.compile(rb"G.{187}G", re.DOTALL), "video/mp2t"),
)


def open_sheet(sheets: Sheets, cache: Cache, owner: str, files: Sequence[tuple[Path, str]]) -> Sheet:
    """A sheet of images together, of one PDF, or of one video. Raises `BadInput`; nothing is kept then."""
    if not files:
        raise BadInput("There is nothing to open: choose images, a PDF or a video.")
    files = [(path, cleaned(name)) for path, name in files]
    kinds = [_kind(path, name) for path, name in files]
    others = [place for place, (kind, _) in enumerate(kinds) if kind is not Kind.IMAGES]
    if not others:
        return _open_images(sheets, cache, owner, files)
    place = others[0]
    if len(files) > 1:
        raise BadInput(
            f"Images are opened together, a document or a video alone: found {len(files)} files, and "
            f"{subject(files[place][1])} is a {kinds[place][0]}; open it by itself."
        )
    if kinds[place][0] is Kind.DOCUMENT:
        return _open_document(sheets, owner, *files[place])
    return _open_video(sheets, owner, *files[place], kinds[place][1])


def cleaned(name: str) -> str:
    """The last part of a file's name, on one line, as it can be kept and shown."""
    last = plain(re.split(r"[/\\]", name)[-1])
    return last if len(last) <= LONGEST_NAME else f"{last[: LONGEST_NAME - 20]}…{last[-19:]}"


def _kind(path: Path, name: str) -> tuple[Kind, str]:
    """What a file is, by how it begins, and its media type; what is neither is taken for an image."""
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFFED)
    except OSError as error:
        raise BadInput(f"{subject(name, 'file')} {why_unread(error, 'a file')}") from error
    if is_document(path, name):
        return Kind.DOCUMENT, "application/pdf"
    for pattern, media_type in _VIDEOS:
        if pattern.match(head):
            return Kind.VIDEO, media_type
    called = mimetypes.guess_type(name)[0] or ""  # a broken video is said to be one
    return (Kind.VIDEO, called) if called.startswith("video/") and not format_of(head) else (Kind.IMAGES, "")


# --- images -------------------------------------------------------------------------------


def _open_images(sheets: Sheets, cache: Cache, owner: str, files: Sequence[tuple[Path, str]]) -> Sheet:
    """Each image is decoded once, so that a broken one is named now; its pixels are not kept.

    The file is: a photo's is a tenth as large as its pixels as PNG, which take a second to write.
    """
    if len(files) > MOST_IMAGES:
        raise BadInput(
            f"A sheet holds at most {MOST_IMAGES} images, found {len(files)}: open them in several goes."
        )

    allowed = limits.of(owner)

    def opened(place: int) -> tuple[Page, bytes, str]:
        path, name = files[place]
        picture = open_image(path, name=name, limits=allowed)
        note = f"{subject(name)}: {picture.note}" if picture.note else ""
        return Page(f"i{place}", name, picture.size), thumbnail(picture, SMALL), note

    with ThreadPoolExecutor(_THREADS) as threads:
        made = list(threads.map(opened, range(len(files))))
    name = files[0][1] if len(files) == 1 else f"{files[0][1]} and {len(files) - 1} more"
    pages = [Opened(page, file=path) for (page, _, _), (path, _) in zip(made, files, strict=True)]
    notes = ". ".join(note for _, _, note in made if note)
    sheet = sheets.add(owner, name, Kind.IMAGES, pages, Body(note=notes))
    for kept, (_, small, _) in zip(sheets.body(owner, sheet.id).pages, made, strict=True):
        cache.put(small_key(origin(sheets.store, owner, kept), SMALL), small)
    return sheet


# --- documents and videos -----------------------------------------------------------------


def _open_document(sheets: Sheets, owner: str, path: Path, name: str) -> Sheet:
    with open_document(path, name, limits.of(owner)) as document:
        pages = [
            Opened(Page(f"p{number}", f"Page {number}", document.pixels(number), number))
            for number in range(1, document.pages + 1)
        ]
    return sheets.add(owner, name, Kind.DOCUMENT, pages, Body(), (path, "application/pdf"))


def _open_video(sheets: Sheets, owner: str, path: Path, name: str, media_type: str) -> Sheet:
    with open_video(path, name, limits.of(owner)) as video:
        body = Body(seconds=video.seconds, size=video.size, note=video.note)
    return sheets.add(owner, name, Kind.VIDEO, (), body, (path, media_type))
