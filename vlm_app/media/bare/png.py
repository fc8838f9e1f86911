"""PNG: chunks with a name, of which those with text, times and EXIF are left out."""

from __future__ import annotations

import struct
import zlib

from vlm_app.media.bare import pieces, turned

_TOLD = {b"tEXt", b"zTXt", b"tIME", b"dSIG"}
_XMP = b"XML:com.adobe.xmp\0\0"  # not compressed, as it is written


def bare(data: bytes) -> bytes:
    """The picture, its colours, and how it is turned. What follows its end goes."""
    kept, at, orientation = [data[:8]], 8, turned.UPRIGHT
    for _ in range(pieces.MOST):
        if at + 12 > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        chunk = data[at : at + 12 + length]
        body, at = chunk[8 : 8 + length], at + 12 + length
        if name == b"eXIf":
            orientation = turned.from_exif(body)
        elif name == b"iTXt":
            if body.startswith(_XMP) and orientation == turned.UPRIGHT:
                orientation = turned.from_xmp(body)
        elif name not in _TOLD:
            kept.append(chunk)
        if name == b"IEND":
            at = len(data)
    kept.append(data[at:])
    if orientation != turned.UPRIGHT and len(kept) > 2:
        kept.insert(2, _chunk(b"eXIf", turned.exif(orientation)))  # after the header
    return b"".join(kept)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
