"""How a picture is turned, which is all that is kept of its EXIF."""

from __future__ import annotations

import re
import struct
from itertools import islice

_TAG = 0x0112
_XMP = re.compile(rb"tiff:Orientation(?:=\"|>)([1-8])")  # Pillow looks there, too
UPRIGHT = 1


def from_exif(data: bytes) -> int:
    """The orientation, 1 to 8, in an EXIF block, with or without its `Exif` mark; 1 where it is not said."""
    data = data.removeprefix(b"Exif\0\0")
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return UPRIGHT
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    if start + 2 > len(data):
        return UPRIGHT
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for at in islice(range(start + 2, len(data) - 11, 12), count):
        tag, _, _, value = struct.unpack_from(f"{order}HHIH", data, at)
        if tag == _TAG and UPRIGHT < value <= 8:
            return int(value)
    return UPRIGHT


def from_xmp(data: bytes) -> int:
    """The same in an XMP packet."""
    found = _XMP.search(data)
    return int(found[1]) if found else UPRIGHT


def exif(orientation: int) -> bytes:
    """An EXIF block, without its `Exif` mark, that says this and nothing else."""
    return struct.pack(">2sHIHHHIHHI", b"MM", 42, 8, 1, _TAG, 3, 1, orientation, 0, 0)
