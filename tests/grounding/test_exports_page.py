"""What docs/exports.md says is so: its table and its example are made by the code."""

from __future__ import annotations

import json
import re

from vlm_app.grounding.formats import FORMATS, Result, Source, exported, imported
from vlm_app.settings import ROOT
from vlm_app.types import Box, Mask, Point, Polygon, Region

PAGE = (ROOT / "docs" / "exports.md").read_text()
EXAMPLE = Result(
    (Source("street.jpg", (1600, 1200)), Source("door.png", (800, 1200))),
    (
        Region("dog", Box(0.125, 0.5, 0.375, 0.75), span=(2, 5), score=0.875),
        Region("ball", Point(0.5, 0.625), span=(12, 16)),
        Region("roof", Polygon((Point(0.25, 0.25), Point(0.5, 0.125), Point(0.75, 0.25)))),
        Region("handle", Mask(Box(0.75, 0.5, 0.8125, 0.5625), (3, 2), bytes([0, 1, 1, 1, 1, 0])), image=1),
        Region("PULL", Box(0.25, 0.125, 0.5, 0.1875), image=1, text="PULL"),
    ),
    text="A dog and a ball before a house; a door.",
    model="pebble",
    task="detect",
    query="everything",
)


def pretty(data: bytes) -> str:
    """JSON for reading: a line for each image and region."""
    top = json.loads(data)
    lines = []
    for key, value in top.items():
        rows = ",\n".join(f"    {json.dumps(row)}" for row in value) if isinstance(value, list) else ""
        lines.append(f'  "{key}": ' + (f"[\n{rows}\n  ]" if rows else json.dumps(value)))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def test_its_table_has_every_format() -> None:
    rows = [
        f"| `{one.name}` | `{one.suffix}` | {one.about} | {'yes' if one.read else 'no'} |"
        for one in FORMATS.values()
    ]
    table = re.findall(r"^\| `[a-z-]+` \| `\..*$", PAGE, re.MULTILINE)
    assert table == rows, "the table should be:\n" + "\n".join(rows)


def test_its_example_is_what_the_code_writes_and_reads() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert block == pretty(exported(EXAMPLE, "json")), pretty(exported(EXAMPLE, "json"))
    assert imported(block, "json") == EXAMPLE


def test_it_names_every_key_of_the_example() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    top = json.loads(exported(EXAMPLE, "json"))
    assert set(top) | {key for region in top["regions"] for key in region} <= named
