"""Rows of the table: what was measured, against whom, and whether it is what is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
PLAIN, SERVED = "plain generate", "transformers serve"
_COLUMNS = ("what", "ours", PLAIN, SERVED, f"ours / {PLAIN}", f"ours / {SERVED}", "wanted", "holds")


def compared(
    what: str,
    unit: str,
    ours: Sequence[float],
    theirs: Mapping[str, Sequence[float]],
    wanted: Mapping[str, float] | None = None,
    least: bool = True,
) -> Row:
    """Ours against others, round by round: medians, and the medians of each round's ratio.

    `wanted` is the ratio to each of them, the least or the most of it; without it the row is
    for the record. Ratios are taken within a round because this machine is not the same in the next.
    """
    ratios = {
        name: statistics.median(a / b for a, b in zip(ours, values, strict=True))
        for name, values in theirs.items()
    }
    sign, row = "≥" if least else "≤", {"what": what, "unit": unit, "ours": statistics.median(ours)}
    row |= {name: statistics.median(values) for name, values in theirs.items()}
    row |= {f"ours / {name}": ratio for name, ratio in ratios.items()}
    if wanted:
        row["wanted"] = ", ".join(f"{sign} {ratio} × {name}" for name, ratio in wanted.items())
        row["holds"] = all(
            ratios[name] >= ratio if least else ratios[name] <= ratio for name, ratio in wanted.items()
        )
    return row


def alone(what: str, unit: str, ours: float, wanted: float, least: bool = False) -> Row:
    """A value that is wanted to be at most, or at least, so much."""
    holds = ours >= wanted if least else ours <= wanted
    return {
        "what": what,
        "unit": unit,
        "ours": ours,
        "wanted": f"{'≥' if least else '≤'} {wanted}",
        "holds": holds,
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """The table as people read it."""
    print(title)
    print(" | ".join(_COLUMNS))
    for row in rows:
        print(" | ".join([f"{row['what']}, {row['unit']}", *(_cell(row.get(name)) for name in _COLUMNS[1:])]))
    print(flush=True)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        f"{value:.3g}"
        if isinstance(value, float) and value < 100
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )
