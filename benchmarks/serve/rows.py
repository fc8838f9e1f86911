"""Rows of the table: what was measured, against whom, and whether it is what is wanted."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

Row = dict[str, Any]
PLAIN, SERVED = "plain generate", "transformers serve"


def compared(
    what: str,
    unit: str,
    ours: Sequence[float],
    theirs: Mapping[str, Sequence[float]],
    wanted: Mapping[str, float] | None = None,
    least: bool = True,
) -> Row:
    """Ours against others, round by round: medians, and the medians of each round's ratio.

    `wanted` is the ratio to each of them, at least or at most; without it the row is for the
    record. Ratios are taken within a round because a machine is not the same in the next.
    """
    ratios = {
        name: statistics.median(a / b for a, b in zip(ours, values, strict=True))
        for name, values in theirs.items()
    }
    row: Row = {
        "what": what,
        "unit": unit,
        "ours": statistics.median(ours),
        "against": {name: statistics.median(values) for name, values in theirs.items()},
        "ratio": ratios,
    }
    if wanted:
        sign = "≥" if least else "≤"
        row["wanted"] = ", ".join(f"{sign} {limit} × {name}" for name, limit in wanted.items())
        row["holds"] = all(
            ratios[name] >= limit if least else ratios[name] <= limit for name, limit in wanted.items()
        )
    return row


def alone(what: str, unit: str, ours: float, limit: float, least: bool = False) -> Row:
    """A value that is to be at most, or at least, so much."""
    holds = ours >= limit if least else ours <= limit
    return {
        "what": what,
        "unit": unit,
        "ours": ours,
        "wanted": f"{'≥' if least else '≤'} {limit:g}",
        "holds": holds,
    }


def show(title: str, rows: Sequence[Row]) -> None:
    """The table as people read it, and as `benchmarks/README.md` has it."""
    print(f"{title}\n")
    print("| what | ours | against | ratio | wanted |  |\n| --- | --- | --- | --- | --- | --- |")
    for row in rows:
        against = ", ".join(f"{name} {number(value)}" for name, value in row.get("against", {}).items())
        ratio = ", ".join(f"{value:.2f}" for value in row.get("ratio", {}).values())
        holds = {True: "holds", False: "**missed**"}.get(row.get("holds"), "")
        cells = (
            row["what"],
            f"{number(row['ours'])} {row['unit']}",
            against,
            ratio,
            row.get("wanted", ""),
            holds,
        )
        print(f"| {' | '.join(cells)} |")
    print(flush=True)


def number(value: float) -> str:
    """Three figures that matter."""
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
