"""GIF: blocks, of which comments and those of applications are left out, but for how often it repeats."""

from __future__ import annotations

from vlm_app.media.bare import pieces

_LOOPS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
_EXTENSION, _FRAME, _END = 0x21, 0x2C, 0x3B
_COMMENT, _APPLICATION = 0xFE, 0xFF


def bare(data: bytes) -> bytes:
    """The frames and how they follow. What follows the end goes, and broken data stays."""
    try:
        at = 13 + _colours(data[10])
        kept = [data[:at]]
        for _ in range(pieces.MOST):
            if data[at] == _END:
                return b"".join((*kept, b"\x3b"))
            end = _block_end(data, at)
            if not _told(data, at):
                kept.append(data[at:end])
            at = end
    except (IndexError, ValueError):
        return data
    return b"".join((*kept, data[at:]))


def _told(data: bytes, at: int) -> bool:
    """Whether the block says something beside the picture."""
    if data[at] != _EXTENSION:
        return False
    loops = data[at + 3 : at + 14] in _LOOPS
    return data[at + 1] == _COMMENT or (data[at + 1] == _APPLICATION and not loops)


def _block_end(data: bytes, at: int) -> int:
    if data[at] == _EXTENSION:
        at += 2
    elif data[at] == _FRAME:
        at += 10 + _colours(data[at + 9]) + 1
    else:
        raise ValueError("no block of a GIF begins so")
    while data[at]:  # pieces with their lengths, until an empty one
        at += data[at] + 1
    return at + 1


def _colours(flags: int) -> int:
    """Bytes of a colour table."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0
