"""TIFF: entries of its directories. Those that tell are taken out, and what they point to is blanked."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

from vlm_app.media.bare import pieces

_POINTERS = {0x8769, 0x8825, 0xA005}  # to directories of EXIF, of a place, and of compatibility
_TOLD = {
    *_POINTERS,
    0x010D, 0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x013C,  # names, descriptions, devices, times
    0x02BC, 0x83BB, 0x8649, 0x8298, 0x935C, 0xC634, 0xC62F, 0xC615,  # XMP, IPTC, Photoshop, makers' notes
    *range(0x9C9B, 0x9CA0),  # Windows' title, comment, author, keywords, subject
}  # fmt: skip
_SIZES = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_MOST = 500  # directories: a file is not followed beyond, nor beyond the most pieces as entries of them all
_BROKEN = (struct.error, IndexError, ValueError, OverflowError)


@dataclass(frozen=True)
class _Layout:
    """How numbers are written: in classic files with 32 bits, in large ones with 64."""

    count: str
    entry: str
    offset: str

    @property
    def entry_size(self) -> int:
        return struct.calcsize(self.entry)


def bare(data: bytes) -> bytes:
    """The same bytes without those entries; broken data keeps what cannot be found."""
    changed = bytearray(data)
    with suppress(*_BROKEN):
        _Blanking(changed).follow()
    return bytes(changed)


class _Blanking:
    """Goes through the directories of one file. They may lie upon each other, and so may what their
    entries point to: what is looked at and what is blanked is bounded for all of them together."""

    def __init__(self, data: bytearray) -> None:
        order = "<" if data[:2] == b"II" else ">"
        self._data = data
        self._large = bytes(data[2:4]) in (b"+\0", b"\0+")
        self._layout = (
            _Layout(f"{order}Q", f"{order}HHQ8s", f"{order}Q")
            if self._large
            else _Layout(f"{order}H", f"{order}HHI4s", f"{order}I")
        )
        self._left = 2 * len(data)  # bytes to blank: no sound file has more
        self._entries = 0
        self._pointed: list[int] = []  # directories of which nothing stays
        self._seen = set[int]()

    def follow(self) -> None:
        """Blanks what tells in each directory. Raises what `_BROKEN` names."""
        (at,) = struct.unpack_from(self._layout.offset, self._data, 8 if self._large else 4)
        while at and self._new(at):
            at = self._directory(at, _TOLD)
            while self._pointed:
                with suppress(*_BROKEN):
                    self._directory(self._pointed.pop(), None)

    def _new(self, at: int) -> bool:
        """Whether a directory is to be looked at; it is from then on one that was."""
        if at in self._seen or len(self._seen) >= _MOST:
            return False
        self._seen.add(at)
        return True

    def _directory(self, at: int, told: set[int] | None) -> int:
        """Blanks entries of a directory, without `told` all of them; returns where the next one begins."""
        data, layout = self._data, self._layout
        (count,) = struct.unpack_from(layout.count, data, at)
        self._entries += count
        if self._entries > pieces.MOST:
            raise ValueError("no sound file has so many entries")
        begin = at + struct.calcsize(layout.count)
        end = begin + count * layout.entry_size
        (following,) = struct.unpack_from(layout.offset, data, end)
        kept = []
        for place in range(begin, end, layout.entry_size):
            tag, kind, number, value = struct.unpack_from(layout.entry, data, place)
            if told is not None and tag not in told:
                kept.append(bytes(data[place : place + layout.entry_size]))
                continue
            self._value(tag, _SIZES.get(kind, 1) * number, value)
        size = struct.calcsize(layout.offset)
        new = b"".join(kept) + struct.pack(layout.offset, following)
        struct.pack_into(layout.count, data, at, len(kept))
        data[begin : end + size] = new.ljust(end + size - begin, b"\0")
        return int(following)

    def _value(self, tag: int, length: int, value: bytes) -> None:
        """Blanks what an entry points to."""
        (there,) = struct.unpack(self._layout.offset, value)
        if tag in _POINTERS:
            if self._new(there):
                self._pointed.append(there)
            return
        length = min(length, len(self._data) - there)
        if len(value) < length <= self._left:
            self._data[there : there + length] = bytes(length)
            self._left -= length
