"""How likely a scene of the toy world is to hold what."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Odds:
    """Those of the world, on which Pebble is scored; shares are of 1."""

    kinds: tuple[float, ...] = (0.43, 0.2, 0.12, 0.25)  # shapes, signs, chart, page
    least: int = 1  # shapes of a scene with nothing else
    alike: float = 0.5  # scenes whose shapes are of two kinds at most, so that kinds repeat
    signs: tuple[float, ...] = (0.6, 0.27, 0.13)  # one, two, three on a picture
    largest: float = 2.6  # print of a sign, in sizes of the smallest
    letters: float = 0.2  # texts that spell nothing
    numbers: float = 0.15


WORLD = Odds()
# What Pebble is taught. Reading is learned last, so that signs and pages are more than half; and its
# mistakes are made of crowds, of the second and third sign, and of small print that is no word.
LESSONS = Odds(kinds=(0.4, 0.28, 0.06, 0.26))
HARD_LESSONS = Odds(
    kinds=LESSONS.kinds, least=4, alike=0.8, signs=(0.15, 0.35, 0.5), largest=1.6, letters=0.35, numbers=0.3
)
