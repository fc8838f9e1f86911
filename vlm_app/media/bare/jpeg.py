"""JPEG: segments before the picture, scans, and whatever follows its end."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from vlm_app.media.bare import pieces, turned

_FILL = re.compile(rb"\xff+")  # any number of these may stand before a mark
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # a mark that is no part of the picture's own data
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
# What decoders need of the segments of applications: JFIF, colour profiles, and Adobe's colours.
_NEEDED = {0xE0: (b"JFIF", b"JFXX"), 0xE2: (b"ICC_PROFILE",), 0xEE: (b"Adobe",)}
_START, _END, _SCAN, _COMMENT = 0xD8, 0xD9, 0xDA, 0xFE
_ALONE = {0x01, *range(0xD0, 0xD9)}  # marks without a length


def bare(data: bytes) -> bytes:
    """The picture, its tables, and how it is turned. What follows its end, such as a second picture, goes."""
    kept, orientation = [b""], turned.UPRIGHT  # in front a place for what says how it is turned
    for mark, segment in _segments(data):
        body = segment[4:]
        if mark == 0xE1:
            orientation = _turned(body) if orientation == turned.UPRIGHT else orientation
        elif mark != _COMMENT and (not 0xE0 <= mark <= 0xEF or body.startswith(_NEEDED.get(mark, ()))):
            kept.append(segment)
    if orientation != turned.UPRIGHT:
        block = _EXIF + turned.exif(orientation)
        kept[0] = struct.pack(">BBH", 0xFF, 0xE1, len(block) + 2) + block
    return b"\xff\xd8" + b"".join(kept)


def _turned(body: bytes) -> int:
    if body.startswith(_EXIF):
        return turned.from_exif(body)
    return turned.from_xmp(body) if body.startswith(_XMP) else turned.UPRIGHT


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The marks after the first one with all that belongs to them; broken data ends as one last piece,
    and so does what is cut too finely."""
    at = 2
    for _ in range(pieces.MOST):
        fill = _FILL.match(data, at)
        if fill is None or fill.end() == len(data):
            break
        at, mark = fill.end() - 1, data[fill.end()]
        if mark == _END:
            yield mark, data[at : at + 2]
            return
        end = _end(data, at, mark)
        yield mark, data[at:end]
        at = end
    if at < len(data):
        yield 0, data[at:]


def _end(data: bytes, at: int, mark: int) -> int:
    """Where the segment that begins at `at` ends; a scan's with its data."""
    if mark in _ALONE or at + 4 > len(data):
        return at + 2
    (length,) = struct.unpack_from(">H", data, at + 2)
    end = at + 2 + max(int(length), 2)
    if mark != _SCAN:
        return end
    found = _SCAN_END.search(data, end)
    return found.start() if found else len(data)
