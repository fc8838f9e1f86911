"""Label Studio's run-length code of a brushed mask, a list of bytes.

Source: https://labelstud.io/tags/brushlabels and the `brush` module of its SDK. A string of
bits, the highest first: how many values (32 bits), bits of a value less 1 (5), four sizes
of a run's length less 1 (4 each); then runs: 1 bit (1: one value repeated, 0: each value
written), which of the sizes (2), the length less 1, the value or values. The values are the
bytes of an RGBA image, row by row; a pixel is set where its alpha is not 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vlm_app.errors import BadInput
from vlm_app.grounding.export import LARGEST_MASK

_SIZES: Final = (3, 4, 8, 16)  # bits of a length, as Label Studio itself writes
_CHANNELS = 4
_SET = 255


def encoded(runs: Sequence[int]) -> list[int]:
    """The code of runs of 0 and 1 in turn, row by row, starting with 0."""
    head = f"{sum(runs) * _CHANNELS:032b}{8 - 1:05b}" + "".join(f"{size - 1:04b}" for size in _SIZES)
    bits = head + "".join(_run(run * _CHANNELS, _SET * (n % 2)) for n, run in enumerate(runs) if run)
    bits += "0" * (-len(bits) % 8)
    return list(int(bits, 2).to_bytes(len(bits) // 8, "big"))


def _run(length: int, value: int) -> str:
    longest = 1 << _SIZES[-1]
    parts = [longest] * (length // longest) + [length % longest] * (length % longest > 0)
    return "".join(f"1{_length(part)}{value:08b}" for part in parts)


def _length(length: int) -> str:
    which = next(n for n, size in enumerate(_SIZES) if length <= 1 << size)
    return f"{which:02b}{length - 1:0{_SIZES[which]}b}"


def decoded(code: Sequence[int], size: tuple[int, int], where: str) -> list[int]:
    """The runs of 0 and 1 of an image of (width, height).

    Raises:
        BadInput: the code does not hold such an image; `where` says which one it is.
    """
    count = size[0] * size[1]
    if count > LARGEST_MASK:
        raise BadInput(f"{where} is a mask of at most {LARGEST_MASK:,} pixels, found {count:,}.")
    try:
        reader = _Bits(bytes(code))
        runs = _runs(reader, count * _CHANNELS) if reader.take(32) == count * _CHANNELS else None
    except (ValueError, TypeError, EOFError):
        runs = None
    if runs is None:
        raise BadInput(f"{where} holds {size[0]} × {size[1]} pixels, found another code: export it again.")
    return runs


def _runs(reader: _Bits, count: int) -> list[int]:
    """The runs of pixels whose alpha, the last of their four values, is set or not."""
    width = reader.take(5) + 1
    sizes = [reader.take(4) + 1 for _ in _SIZES]
    runs = [0]
    place = 0
    while place < count:
        repeated = reader.take(1)
        end = min(place + 1 + reader.take(sizes[reader.take(2)]), count)
        for stop in [end] if repeated else range(place + 1, end + 1):
            pixels = stop // _CHANNELS - place // _CHANNELS  # that have their alpha from `place` on
            differs = (reader.take(width) != 0) != (len(runs) % 2 == 0)
            if pixels and differs:
                runs.append(0)
            runs[-1] += pixels
            place = stop
    return runs


class _Bits:
    """A string of bits that is read from its start."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    def take(self, count: int) -> int:
        """The next `count` bits as a number.

        Raises:
            EOFError: there are fewer.
        """
        first, self._place = self._place, self._place + count
        last = (self._place + 7) // 8
        if last > len(self._data):
            raise EOFError
        part = int.from_bytes(self._data[first // 8 : last], "big")
        return part >> (last * 8 - self._place) & ((1 << count) - 1)
