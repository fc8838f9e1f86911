"""How sure a figure is: intervals by drawing the images anew (percentile bootstrap).

Images are drawn, not examples: several examples of one picture are right or wrong together, and as
many independent ones would make an interval look narrower than it is. Source: B. Efron and
R. Tibshirani, 'An Introduction to the Bootstrap' (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
_LEVEL = (2.5, 97.5)  # percent: an interval of 95
_AT_ONCE = 4_000_000  # numbers that are drawn together

Floats = npt.NDArray[np.float64]
Pairs = Sequence[tuple[float, float]]  # what is added up above and below the line, of each example


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def estimates(
    columns: Mapping[str, Pairs], groups: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> dict[str, Estimate]:
    """Each figure over all examples; one with nothing below the line is left out.

    `groups` names the image of each example. The same seed gives the same intervals.
    """
    drawn = dict(zip(columns, _ratios(columns.values(), groups, seed, resamples), strict=True))
    found = {}
    for name, pairs in columns.items():
        value = _value(pairs)
        if value is not None:
            found[name] = Estimate(value, *_ends(drawn[name], value))
    return found


def difference(
    before: Pairs, after: Pairs, groups: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> Estimate | None:
    """How much a figure rose, over the same examples before and after; None where it says nothing.

    Both sides are drawn alike, so that what makes an image hard for both cancels out.
    """
    first, second = _value(before), _value(after)
    if first is None or second is None:
        return None
    old, new = _ratios((before, after), groups, seed, resamples)
    return Estimate(second - first, *_ends(new - old, second - first))


def _value(pairs: Pairs) -> float | None:
    top, bottom = (sum(side) for side in zip(*pairs, strict=True)) if pairs else (0.0, 0.0)
    return top / bottom if bottom else None


def _ratios(columns: Any, groups: Sequence[str], seed: int, resamples: int) -> Floats:
    """Each column's ratio in each drawing of the images: (columns, resamples); NaN where undefined."""
    table = np.array(list(zip(*columns, strict=True)), dtype=np.float64)
    _, places = np.unique(np.array(groups), return_inverse=True)
    sums = np.zeros((places.max() + 1, *table.shape[1:]))  # images × columns × 2
    np.add.at(sums, places, table)
    flat, generator = sums.reshape(len(sums), -1), np.random.default_rng(seed)
    step = max(1, _AT_ONCE // flat.size)
    drawn = [
        flat[generator.integers(0, len(flat), (min(step, resamples - done), len(flat)))].sum(axis=1)
        for done in range(0, resamples, step)
    ]
    totals = np.concatenate(drawn).reshape(resamples, -1, 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Floats = np.where(totals[..., 1] > 0, totals[..., 0] / totals[..., 1], np.nan)
    return ratios.T


def _ends(drawn: Floats, value: float) -> tuple[float, float]:
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return value, value
    low, high = np.percentile(known, _LEVEL)
    return float(low), float(high)
