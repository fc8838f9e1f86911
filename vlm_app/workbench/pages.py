"""The pictures of a sheet's pages: decoded or rendered when they are needed, never all at once."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from PIL import Image

from vlm_app import limits
from vlm_app.errors import NotFound
from vlm_app.grounding.formats.order import reading_order
from vlm_app.media import open_image, picture_from, png_bytes, thumbnail
from vlm_app.media.documents import DPI, Document, open_document
from vlm_app.media.videos import open_video
from vlm_app.store import KeptFile, Store
from vlm_app.types import Box, Picture, Region
from vlm_app.workbench.cache import Cache
from vlm_app.workbench.rows import Body, Kept
from vlm_app.workbench.sheets import Sheets

SMALL = 320  # pixels of the longer side of the thumbnails that are made ahead
_DAMAGED = "An image of this sheet is missing from the data folder or damaged: open its file again."
_JPEG = b"\xff\xd8\xff"


class Pages:
    """Reads pages of an owner's sheets. What was made once is cached, and made again where it is gone."""

    def __init__(self, sheets: Sheets, cache: Cache) -> None:
        self._sheets = sheets
        self._store = sheets.store
        self._cache = cache

    def kept(self, owner: str, sheet_id: str, key: str) -> tuple[Body, Kept]:
        """Raises `NotFound`."""
        body = self._sheets.body(owner, sheet_id)
        kept = body.page(key)
        if kept is None:
            raise NotFound("This page is not on the sheet any more: choose another one.")
        return body, kept

    def picture(self, owner: str, sheet_id: str, key: str) -> Picture:
        """A page in full, its pixels read. Raises `NotFound`, and `BadInput` where it cannot be made."""
        body, kept = self.kept(owner, sheet_id, key)
        return next(self.pictures(owner, body, [kept]))

    def pictures(self, owner: str, body: Body, pages: Sequence[Kept]) -> Generator[Picture]:
        """The pages in full, one after another; of a video's frames each is decoded once."""
        ready = [self._is_ready(owner, body, kept) for kept in pages]
        times = [kept.page.seconds for kept, there in zip(pages, ready, strict=True) if not there]
        frames = self.frames_at(owner, body, [time for time in times if time is not None])
        with closing(frames):
            for kept, there in zip(pages, ready, strict=True):
                if there:
                    yield self._ready(owner, body, kept) or self._made(owner, body, kept)
                elif kept.page.seconds is None:
                    yield self._made(owner, body, kept)
                else:
                    yield next(frames)[1]

    def _is_ready(self, owner: str, body: Body, kept: Kept) -> bool:
        if kept.media is not None or kept.page.seconds is None:
            return kept.media is not None
        return self._cache.path(full_key(origin(self._store, owner, kept, body))).exists()

    def _ready(self, owner: str, body: Body, kept: Kept) -> Picture | None:
        """A page that is kept as an image, or a frame that is cached; None where it vanished."""
        if kept.media is not None:
            return self._kept_image(owner, kept.media)
        return _read(self._cache.get(full_key(origin(self._store, owner, kept, body))))

    def _kept_image(self, owner: str, media: str) -> Picture:
        picture = self._store.picture(owner, media)
        try:
            picture.pixels.load()
        except OSError as error:
            raise NotFound(_DAMAGED) from error
        return picture

    def _kept_bytes(self, owner: str, media: str) -> bytes:
        try:
            return self._store.picture_path(owner, media).read_bytes()
        except OSError as error:
            raise NotFound(_DAMAGED) from error

    def _made(self, owner: str, body: Body, kept: Kept) -> Picture:
        """A page from the file that it comes from."""
        page = kept.page
        if kept.file is not None:
            return open_image(self._store.file(owner, kept.file).path, name=page.title)
        if page.seconds is not None:
            return next(self.frames_at(owner, body, [page.seconds]))[1]
        return self._document(owner, body).picture(page.number or 1, DPI)

    def _document(self, owner: str, body: Body) -> Document:
        file = self._file(owner, body)
        return replace(_opened(file.path, file.name), most_pixels=limits.of(owner).pixels)

    def frames_at(self, owner: str, body: Body, times: Sequence[float]) -> Generator[tuple[float, Picture]]:
        """The frames of a video at rising times, with their own times."""
        if not times:
            return
        file = self._file(owner, body)
        with open_video(file.path, file.name, most_pixels=limits.of(owner).pixels) as video:
            yield from video.frames(times)

    def _file(self, owner: str, body: Body) -> KeptFile:
        if body.file is None:
            raise NotFound("This sheet has images only: it has no document and no video.")
        return self._store.file(owner, body.file)

    # --- for the page -----------------------------------------------------------------------

    def shown(self, owner: str, sheet_id: str, key: str) -> bytes:
        """A page in full as a file for a browser, without metadata: PNG, of a JPEG photo JPEG, which
        takes a tenth of the time and the bytes."""
        body, kept = self.kept(owner, sheet_id, key)
        photo = self._is_photo(owner, kept)
        if kept.media is not None and not photo:
            return self._kept_bytes(owner, kept.media)
        name = full_key(origin(self._store, owner, kept, body))
        data = self._cache.get(name)
        if data is None:
            picture = next(self.pictures(owner, body, [kept]))
            data = _jpeg(picture) if photo else png_bytes(picture.pixels)
            self._cache.put(name, data)
        return data

    def _is_photo(self, owner: str, kept: Kept) -> bool:
        if kept.file is None:
            return False
        with self._store.file(owner, kept.file).path.open("rb") as file:
            return file.read(len(_JPEG)) == _JPEG

    def thumbnail(self, owner: str, sheet_id: str, key: str, side: int) -> bytes:
        """A WebP file, its longer side at most `side` pixels."""
        body, kept = self.kept(owner, sheet_id, key)
        name = origin(self._store, owner, kept, body)
        data = self._cache.get(small_key(name, side))
        if data is None:
            data = thumbnail(self._for_small(owner, body, kept, name, side), side)
            self._cache.put(small_key(name, side), data)
        return data

    def _for_small(self, owner: str, body: Body, kept: Kept, name: str, side: int) -> Picture:
        """What a thumbnail is made of: a larger one, a page that is rendered small, or the whole."""
        larger = _read(self._cache.get(small_key(name, SMALL))) if side <= SMALL else None
        if larger is not None:
            return larger
        if kept.page.number is None or side > SMALL:
            return next(self.pictures(owner, body, [kept]))
        dpi = min(max(DPI * 2 * SMALL / max(kept.page.size), 1.0), DPI)  # twice: shrinking it smooths letters
        return self._document(owner, body).picture(kept.page.number, dpi)

    def keep_small(self, owner: str, body: Body, kept: Kept, picture: Picture) -> None:
        """Makes the thumbnail of a page whose picture is at hand."""
        name = small_key(origin(self._store, owner, kept, body), SMALL)
        self._cache.put(name, thumbnail(picture, SMALL))

    def file(self, owner: str, sheet_id: str) -> KeptFile:
        """The document or video itself. Raises `NotFound`."""
        return self._file(owner, self._sheets.body(owner, sheet_id))

    def let_go(self, owner: str, body: Body) -> None:
        """Removes from the cache what was made of a sheet; of what others have too, it is made again."""
        files = {kept.file for kept in body.pages if kept.file} | ({body.file} if body.file else set())
        for file in files:
            with suppress(NotFound):
                self._cache.drop(self._store.file(owner, file).sha256)
        for media in {kept.media for kept in body.pages if kept.media}:
            self._cache.drop(f"media-{media}")

    def lines(self, owner: str, sheet_id: str, key: str) -> tuple[Region, ...]:
        """The text that a document's page holds as text, line by line as it is read, whatever the
        order in which the file writes it; none for anything else."""
        body, kept = self.kept(owner, sheet_id, key)
        if kept.page.number is None:
            return ()
        lines = self._document(owner, body).lines(kept.page.number)
        order = reading_order([box for line in lines if isinstance(box := line.shape, Box)])
        return tuple(lines[place] for place in order)


@lru_cache(maxsize=32)
def _opened(path: Path, name: str) -> Document:
    """A document of the store, which never changes: it holds the sizes of its pages, nothing open."""
    return open_document(path, name)


def origin(store: Store, owner: str, kept: Kept, body: Body | None = None) -> str:
    """What a page's picture is made of: the same for the same pixels. Keys of the cache begin with it."""
    file = kept.file or (None if body is None else body.file)
    if file is None:
        return f"media-{kept.media}"
    sha256 = store.file(owner, file).sha256
    if kept.file:
        return sha256
    width, height = kept.page.size  # not everybody's pages and frames may be as large
    return f"{sha256}/{kept.page.key}/{width}x{height}"


def small_key(origin: str, side: int) -> str:
    return f"{origin}@{side}"


def full_key(origin: str) -> str:
    return f"{origin}@full"


def _read(data: bytes | None) -> Picture | None:
    """A picture from the cache; None where it is not there, or was only half written to the disk."""
    try:
        return None if data is None else picture_from(Image.open(io.BytesIO(data), formats=("PNG", "WEBP")))
    except (OSError, SyntaxError):  # what Pillow raises for broken files
        return None


def _jpeg(picture: Picture) -> bytes:
    file = io.BytesIO()
    bare = picture.pixels.copy()
    bare.info.clear()
    bare.save(file, "JPEG", quality=95, subsampling=0)
    return file.getvalue()
