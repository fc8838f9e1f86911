"""TIFF: entries of its directories. Those that tell are taken out, and what they point to is blanked."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass

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
_MOST = 10_000  # directories


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
    with suppress(struct.error, IndexError):
        _blank(changed)
    return bytes(changed)


def _blank(data: bytearray) -> None:
    order = "<" if bytes(data[:2]) == b"II" else ">"
    large = bytes(data[2:4]) in (b"+\0", b"\0+")
    layout = _Layout(f"{order}Q", f"{order}HHQ8s", f"{order}Q") if large else _Layout(
        f"{order}H", f"{order}HHI4s", f"{order}I"
    )  # fmt: skip
    (at,) = struct.unpack_from(layout.offset, data, 8 if large else 4)
    seen = set[int]()
    while at and at not in seen and len(seen) < _MOST:
        seen.add(at)
        at = _directory(data, at, layout, _TOLD, seen)


def _directory(data: bytearray, at: int, layout: _Layout, told: set[int] | None, seen: set[int]) -> int:
    """Blanks entries of a directory, without `told` all of them; returns where the next one begins."""
    (count,) = struct.unpack_from(layout.count, data, at)
    begin = at + struct.calcsize(layout.count)
    end = begin + count * layout.entry_size
    (following,) = struct.unpack_from(layout.offset, data, end)
    kept = []
    for place in range(begin, end, layout.entry_size):
        tag, kind, number, value = struct.unpack_from(layout.entry, data, place)
        if told is not None and tag not in told:
            kept.append(bytes(data[place : place + layout.entry_size]))
            continue
        _value(data, layout, (tag, kind, number), value, seen)
    size = struct.calcsize(layout.offset)
    new = b"".join(kept) + struct.pack(layout.offset, following)
    struct.pack_into(layout.count, data, at, len(kept))
    data[begin : end + size] = new.ljust(end + size - begin, b"\0")
    return int(following)


def _value(
    data: bytearray, layout: _Layout, entry: tuple[int, int, int], value: bytes, seen: set[int]
) -> None:
    """Blanks what an entry points to."""
    tag, kind, number = entry
    length = _SIZES.get(kind, 1) * number
    (there,) = struct.unpack(layout.offset, value)
    if tag in _POINTERS and there not in seen and len(seen) < _MOST:
        seen.add(there)
        try:
            _directory(data, there, layout, None, seen)
        except (struct.error, IndexError):
            return
    elif length > len(value) and there < len(data):
        end = min(there + length, len(data))
        data[there:end] = bytes(end - there)
