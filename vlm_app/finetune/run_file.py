"""A run as the file that repeats it: `vlm-app finetune run.toml`."""

from __future__ import annotations

import json
from typing import Any

from vlm_app.finetune.run_config import RunConfig


def run_file(config: RunConfig, dataset: str) -> str:
    """TOML with the name of the dataset and every setting that differs from an ordinary run."""
    changed = config.model_dump(mode="json", exclude_defaults=True)
    rows = {"dataset": dataset, "name": config.name, "base": config.base, **changed}
    return "".join(f"{key} = {_value(value)}\n" for key, value in rows.items() if value is not None)


def _value(value: Any) -> str:
    """A TOML value. JSON writes strings, numbers, booleans and lists as TOML reads them."""
    if isinstance(value, list):
        value = sorted(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
