"""What several formats write: bytes of text and JSON, zip files, safe names in them."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

if TYPE_CHECKING:
    from PIL.Image import Image

QUALITY = 92  # of pictures that become JPEG
LONGEST = 40  # characters of a name: at four bytes each, with a number, still below 255 bytes
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # the first date of a zip file: the same result is the same file
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}


def utf8(text: str) -> bytes:
    """Text as UTF-8; a lone surrogate, which a model may write and UTF-8 cannot hold, is a '?'."""
    return text.encode("utf-8", "replace")


def json_bytes(data: Any) -> bytes:
    """Data as JSON, letters of all scripts as they are."""
    return utf8(json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n")


def zipped(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A zip of files by name; the names are ours, see `safe_name`."""
    archive = BytesIO()
    with ZipFile(archive, "w") as writer:
        for name, data in files:
            entry = ZipInfo(name, _EARLIEST)
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16  # readable by its owner once it is unpacked elsewhere
            writer.writestr(entry, data)
    return archive.getvalue()


def smaller(image: Image) -> bytes:
    """An RGB image as PNG where that is the smaller file, as of drawings, else as JPEG; no metadata."""
    jpeg, png = BytesIO(), BytesIO()
    bare = image.copy()
    bare.info.clear()  # encoders write profiles and EXIF from there
    bare.save(jpeg, "JPEG", quality=QUALITY, subsampling=0)
    bare.save(png, "PNG", compress_level=3)
    return min(jpeg.getvalue(), png.getvalue(), key=len)


def safe_name(words: str, otherwise: str = "region") -> str:
    """A file name, without a suffix, that leads nowhere else and exists on every system.

    Letters, digits and accents of all scripts stay; all else, separators and dots too, is '_'.
    """
    letters = (c if c == "-" or unicodedata.category(c)[0] in "LNM" else "_" for c in words)
    name = "_".join(part for part in "".join(letters).split("_") if part)
    name = unicodedata.normalize("NFC", name)[:LONGEST].strip("_-") or otherwise
    return f"{name}_" if name.casefold() in _DEVICES else name  # Windows opens a device by these


def safe_names(words: Iterable[str], otherwise: str = "image") -> list[str]:
    """Safe names that differ, also where upper and lower case are one."""
    taken: set[str] = set()
    found = []
    for one in words:
        base = name = safe_name(one, otherwise)
        number = 1
        while name.casefold() in taken:
            number += 1
            name = f"{base}-{number}"
        taken.add(name.casefold())
        found.append(name)
    return found
