"""Pictures that look the same: a hash of what is seen, which small changes leave nearly as it was.

The hash is that of C. Zauner, 'Implementation and Benchmarking of Perceptual Image Hash Functions'
(2010), with colour, because drawn scenes often differ in nothing else: which of the lowest frequencies
of the picture in grey, and of its two colour differences, lie above their median; and the mean of each.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vlm_app.types import Picture

MOST_BITS = 4  # that differ between two pictures that look the same
_SIDE = 32  # pixels to which a picture is squeezed
_WAVES = (31, 8, 8)  # frequencies that count: of grey and of the two differences of colour
_LEVELS = ((43, 86, 128, 171, 213), (100, 156) * 3, (100, 156) * 3)  # of the means: 17 bits, colour thrice
_MOST_KNOWN = 200_000  # hashes, of about 150 bytes each with their names
_known: dict[str, int] = {}  # by the hash of the pixels
_FLAT = 16.0  # a frequency weaker than that is left by rounding


def likeness(picture: Picture) -> int:
    """A hash of 64 bits of how a picture looks; its size in pixels does not matter.

    It is kept, so that a dataset is looked at once however often it is divided.
    """
    known = _known.get(picture.sha256)
    if known is None:
        if len(_known) >= _MOST_KNOWN:
            _known.clear()
        known = _known[picture.sha256] = _looked(picture)
    return known


def looked_at(picture: Picture) -> bool:
    """Whether its hash is known without its pixels."""
    return picture.sha256 in _known


def _looked(picture: Picture) -> int:
    small = picture.pixels.resize((_SIDE, _SIDE), Image.Resampling.BOX).convert("YCbCr")
    planes = np.asarray(small, dtype=np.float64)
    bits = [
        bit
        for plane, count, levels in zip(np.moveaxis(planes, 2, 0), _WAVES, _LEVELS, strict=True)
        for bit in (*_signs(plane, count), *(plane.mean() > level for level in levels))
    ]
    return sum(1 << place for place, bit in enumerate(bits) if bit)


def alike(a: int, b: int) -> bool:
    """Whether two hashes are those of pictures that look the same."""
    return (a ^ b).bit_count() <= MOST_BITS


class Likenesses:
    """Hashes seen so far, eight bytes each; each has a number by which its owner knows it."""

    def __init__(self) -> None:
        self._hashes = np.zeros(1024, dtype=np.uint64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, hash: int) -> int | None:
        """Keeps a hash under the next number from 0; the number of the first that is alike, or None."""
        if self._count == len(self._hashes):
            self._hashes = np.resize(self._hashes, 2 * self._count)
        differ = np.bitwise_count(self._hashes[: self._count] ^ np.uint64(hash))
        found = np.flatnonzero(differ <= MOST_BITS)
        self._hashes[self._count] = hash
        self._count += 1
        return int(found[0]) if len(found) else None


def _signs(plane: NDArray[Any], count: int) -> NDArray[Any]:
    """Which of the lowest `count` frequencies, the mean left out, lie above their median."""
    wave = _cosines()
    low = (wave @ plane @ wave.T)[_order()][1 : count + 1]
    low[abs(low) < _FLAT] = 0.0
    above: NDArray[Any] = low > np.median(low)
    return above


@cache
def _cosines() -> NDArray[Any]:
    """The type II cosine transform of `_SIDE` values, its lowest 12 frequencies."""
    places, waves = np.arange(_SIDE), np.arange(12)[:, None]
    return np.cos(np.pi * waves * (2 * places + 1) / (2 * _SIDE))


@cache
def _order() -> tuple[NDArray[Any], NDArray[Any]]:
    """The frequencies from low to high."""
    pairs = sorted(((x, y) for x in range(12) for y in range(12)), key=lambda one: (sum(one), one))
    xs, ys = zip(*pairs, strict=True)
    return np.array(xs), np.array(ys)
