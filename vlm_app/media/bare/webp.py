"""WebP: RIFF chunks, of which EXIF and XMP are left out."""

from __future__ import annotations

import struct

from vlm_app.media.bare import pieces, turned

_EXIF, _XMP = 0x08, 0x04  # in the flags of VP8X
_KNOWN = {b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"}


def bare(data: bytes) -> bytes:
    """The picture, its colours, and how it is turned; what is cut off stays as it is."""
    kept, at, orientation = list[bytes](), 12, turned.UPRIGHT
    whole = min(len(data), 8 + int.from_bytes(data[4:8], "little"))
    for _ in range(pieces.MOST):
        if at + 8 > whole:
            break
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > len(data):
            return data  # cut off
        body, at = data[at + 8 : at + 8 + length], at + 8 + length + length % 2
        if name == b"EXIF":
            orientation = turned.from_exif(body)
        elif name == b"XMP " and orientation == turned.UPRIGHT:
            orientation = turned.from_xmp(body)
        elif name in _KNOWN:
            kept.append(_chunk(name, body))
    else:
        kept.append(data[at:whole])  # cut too finely to go on
    return _file(kept, orientation) if kept else data


def _file(chunks: list[bytes], orientation: int) -> bytes:
    turns = orientation != turned.UPRIGHT and chunks[0].startswith(b"VP8X")
    if chunks[0].startswith(b"VP8X"):
        flags = chunks[0][8] & ~(_EXIF | _XMP) | (_EXIF if turns else 0)
        chunks = [chunks[0][:8] + bytes([flags]) + chunks[0][9:], *chunks[1:]]
    chunks += [_chunk(b"EXIF", turned.exif(orientation))] if turns else []
    body = b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)
