"""MP4 and QuickTime: boxes within boxes. Those that tell are renamed to free space and blanked in place."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import BinaryIO

BEGINNINGS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")  # at byte 4
_TOLD = (b"udta", b"meta", b"uuid")  # places, titles, devices; and XMP
_ENTERED = (b"moov", b"trak")
_PIECE = 1 << 20
_MOST = 100_000  # boxes


def blank(path: Path) -> bool:
    """Whether there was something to blank. Nothing moves, so that the video's own places stay right."""
    found: list[tuple[int, int]] = []
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        _find(file, 0, size, found)
        for start, end in found:
            _free(file, start, end)
    return bool(found)


def _find(file: BinaryIO, start: int, end: int, found: list[tuple[int, int]]) -> None:
    """Adds where the name and the content of those boxes lie."""
    waiting = [(start, end)]
    for _ in range(_MOST):
        if not waiting:
            return
        at, until = waiting.pop()
        if at + 8 > until:
            continue
        file.seek(at)
        size, name = struct.unpack(">I4s", file.read(8))
        head = 8
        if size == 1:
            size, head = int.from_bytes(file.read(8), "big"), 16
        size = until - at if size == 0 else size
        if size < head or at + size > until:
            continue
        waiting.append((at + size, until))
        if name in _TOLD:
            found.append((at, at + size))
        elif name in _ENTERED:
            waiting.append((at + head, at + size))


def _free(file: BinaryIO, start: int, end: int) -> None:
    file.seek(start)
    head = 16 if file.read(4) == b"\0\0\0\1" else 8
    file.seek(start + 4)
    file.write(b"free")
    file.seek(start + head)
    left = end - start - head
    while left > 0:
        left -= file.write(bytes(min(left, _PIECE)))
