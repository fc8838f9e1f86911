"""Taking out of a file what it tells beside its picture: place, time, device, editor, thumbnails.

The picture itself stays as it is, byte for byte, and so does how it is turned. Nothing is decoded
here, so that a bomb costs nothing. A file that is none of these, or whose parts do not fit, keeps
what could not be read: whoever opens it says what is wrong.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

from vlm_app.media.bare import boxes, gif, jpeg, matroska, png, tiff, webp

Cut = Callable[[bytes], bytes]

_BEGINNINGS: tuple[tuple[bytes, Cut], ...] = (
    (b"\xff\xd8\xff", jpeg.bare),
    (b"\x89PNG\r\n\x1a\n", png.bare),
    (b"GIF8", gif.bare),
    (b"II*\0", tiff.bare),
    (b"MM\0*", tiff.bare),
    (b"II+\0", tiff.bare),
    (b"MM\0+", tiff.bare),
)


def bare(data: bytes) -> bytes:
    """An image file without its metadata; anything else, and what cannot be read, as it is."""
    try:
        for beginning, cut in _BEGINNINGS:
            if data.startswith(beginning):
                return cut(data)
        return webp.bare(data) if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else data
    except (struct.error, ArithmeticError, LookupError, ValueError):
        return data


def _most_bytes() -> int:
    """Of an image that is taken into memory; larger ones are never opened."""
    from vlm_app.settings import settings  # pydantic is slow to start, and the worker imports this package

    return settings().max_bytes


def bare_file(path: Path) -> bool:
    """Takes the metadata out of a file where it lies; whether it was changed. Raises `OSError`."""
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in boxes.BEGINNINGS:
        return boxes.blank(path)
    if head.startswith(matroska.BEGINNING):
        return matroska.blank(path)
    images = tuple(beginning for beginning, _ in _BEGINNINGS)
    if not (head.startswith(images) or head[8:12] == b"WEBP") or path.stat().st_size > _most_bytes():
        return False
    before = path.read_bytes()
    after = bare(before)
    if after == before:
        return False
    handle, part = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        Path(part).unlink(missing_ok=True)
    return True
