"""docs/finetune.md, its table of settings generated from `RunConfig`: `python -m tests.finetune.document`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.settings_table import MEANS, default, takes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "finetune.md"
BEGIN, END = "<!-- settings: generated -->", "<!-- end of settings -->"


def table() -> str:
    """Markdown: every key of a run's file."""
    rows = [
        f"| `{name}` | {takes(name)} | {_written(default(name))} | {MEANS[name]} |"
        for name in RunConfig.model_fields
    ]
    return "\n".join(["| key | value | if not given | what |", "| --- | --- | --- | --- |", *rows])


def page(text: str) -> str:
    """The page with its table as it should be."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _written(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, frozenset):
        return f"`[{', '.join(repr(each) for each in sorted(value))}]`".replace("'", '"')
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
