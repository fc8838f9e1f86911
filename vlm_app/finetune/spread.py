"""Which of many examples are looked at, where all of them would take too long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

SAMPLES = 3  # held-out examples that are answered at every evaluation
WATCHED = 48  # that are answered where the score is watched
JUDGED = 400  # that are answered when all is taught: 95 % intervals are about five points wide then

_T = TypeVar("_T")


def spread(many: Sequence[_T], most: int) -> list[_T]:
    """So many of them, evenly spread."""
    wanted = min(len(many), most)
    return [many[place * len(many) // wanted] for place in range(wanted)]
