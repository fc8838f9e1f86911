"""In what the boxes of a file are: fractions, thousandths or pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

Corners = tuple[float, float, float, float]
Size = tuple[int, int]

_MOST = 0.95  # of the boxes must fit: a few bad ones do not decide
_BEYOND = 0.01  # of the boxes reach beyond 1000: no space of thousandths
_FEW = 20  # boxes are too few to tell from where none of them lies


class Space(StrEnum):
    """The units of a box."""

    FRACTIONS = "0..1"
    THOUSANDTHS = "0..1000"
    PIXELS = "pixels"


@dataclass(frozen=True, slots=True)
class Told:
    """The units that were found, and why."""

    space: Space
    why: str


class Sizing:
    """Collects boxes of a file, and says at the end in what they are.

    Only some of the boxes come with the size of their picture: opening all would take as long as
    taking the dataset in.
    """

    def __init__(self) -> None:
        self._boxes = self._small = self._beyond = 0
        self._largest = 0.0
        self._sized = self._fitting = self._wide = 0

    @property
    def sized(self) -> int:
        """Boxes that came with a size."""
        return self._sized

    def add(self, boxes: Iterable[Corners], size: Size | None = None) -> None:
        """Boxes of one picture; `size` is its width and height in pixels."""
        for box in boxes:
            largest = max(abs(value) for value in box)
            self._boxes += 1
            self._small += largest <= 1.0
            self._beyond += largest > 1000.0
            self._largest = max(self._largest, largest)
            if size is not None:
                self._sized += 1
                self._fitting += max(box[0], box[2]) <= size[0] + 1 and max(box[1], box[3]) <= size[1] + 1
                self._wide += min(size) > 1000

    def told(self) -> Told | None:
        """The units; None where there was no box."""
        if not self._boxes:
            return None
        if self._small >= _MOST * self._boxes:
            return Told(Space.FRACTIONS, "no value is above 1")
        if self._beyond > _BEYOND * self._boxes:
            return Told(Space.PIXELS, f"values reach {self._largest:,.6g}")
        if self._sized and self._fitting < _MOST * self._sized:
            return Told(Space.THOUSANDTHS, "they reach beyond their pictures, and not beyond 1000")
        if self._sized >= _FEW and self._wide >= _MOST * self._sized:
            return Told(Space.THOUSANDTHS, "no value is above 1000, though the pictures are larger")
        return Told(Space.PIXELS, f"they fit into their pictures; the largest value is {self._largest:,.6g}")


def fractions(box: Corners, space: Space, size: Size) -> Corners:
    """The same box as fractions of a picture of that size."""
    if space is Space.FRACTIONS:
        return box
    wide, high = (1000, 1000) if space is Space.THOUSANDTHS else size
    return (box[0] / wide, box[1] / high, box[2] / wide, box[3] / high)
