"""Matroska and WebM (RFC 9559): elements within elements. Those that tell become empty space in place."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

BEGINNING = b"\x1a\x45\xdf\xa3"
_ENTERED = {
    b"\x18\x53\x80\x67",  # Segment
    b"\x15\x49\xa9\x66",  # Info
    b"\x16\x54\xae\x6b",  # Tracks
    b"\xae",  # TrackEntry
}
_TOLD = {
    b"\x12\x54\xc3\x67",  # Tags: places, devices, whatever a program wanted to say
    b"\x19\x41\xa4\x69",  # Attachments: cover pictures, with EXIF of their own
    b"\x7b\xa9",  # Title
    b"\x44\x61",  # DateUTC
    b"\x73\x84",  # SegmentFilename
    b"\x53\x6e",  # Name of a track
    b"\xbf",  # CRC-32, of what is changed here
}
_EMPTIED = {b"\x4d\x80", b"\x57\x41"}  # MuxingApp and WritingApp, which have to be there
_VOID = b"\xec"
_PIECE = 1 << 20
_MOST = 100_000  # elements


def blank(path: Path) -> bool:
    """Whether there was something to blank. Nothing moves, so that the file's own places stay right."""
    with path.open("r+b") as file:
        found = _find(file, file.seek(0, os.SEEK_END))
        for start, content, end, name in found:
            _void(file, start, end) if name in _TOLD else _fill(file, content, end)
    return bool(found)


def _find(file: BinaryIO, end: int) -> list[tuple[int, int, int, bytes]]:
    """Start, content and end of those elements, with their names. What is in a cluster is not looked at."""
    found: list[tuple[int, int, int, bytes]] = []
    waiting = [(0, end)]
    for _ in range(_MOST):
        if not waiting:
            break
        at, until = waiting.pop()
        head = _head(file, at, until) if at < until else None
        if head is None:
            continue
        name, content, after = head
        waiting.append((after, until))
        if name in _ENTERED:
            waiting.append((content, after))
        elif (name in _TOLD or name in _EMPTIED) and _holds(file, content, after):
            found.append((at, content, after, name))
    return found


def _head(file: BinaryIO, at: int, until: int) -> tuple[bytes, int, int] | None:
    """Name, where the content begins, and where it ends; None where these are no elements.

    One of unknown size, as a live recording has, goes on to the end of what it is in.
    """
    file.seek(at)
    head = file.read(12)
    name = head[: _length(head[:1])]
    size = head[len(name) : len(name) + _length(head[len(name) : len(name) + 1])]
    if not 1 <= len(name) <= 4 or not size:
        return None
    ones = 1 << (7 * len(size))
    count = int.from_bytes(size, "big") & (ones - 1)
    content = at + len(name) + len(size)
    after = until if count == ones - 1 else content + count
    return (name, content, after) if after <= until else None


def _length(first: bytes) -> int:
    """Bytes of a number, from its first: as many as there are zeros before its first one, and one."""
    return 9 - first[0].bit_length() if first and first[0] else 0


def _holds(file: BinaryIO, start: int, end: int) -> bool:
    """Whether anything but zeros is there."""
    file.seek(start)
    return any(any(file.read(min(_PIECE, end - at))) for at in range(start, end, _PIECE))


def _void(file: BinaryIO, start: int, end: int) -> None:
    """An element that says nothing, from `start` to `end`: its size takes one byte where that is enough."""
    length = end - start - 9
    size = (1 << 56 | length).to_bytes(8, "big") if length >= 0 else bytes([0x80 | (end - start - 2)])
    file.seek(start)
    file.write(_VOID + size)
    _fill(file, start + 1 + len(size), end)


def _fill(file: BinaryIO, start: int, end: int) -> None:
    file.seek(start)
    left = end - start
    while left > 0:
        left -= file.write(bytes(min(left, _PIECE)))
