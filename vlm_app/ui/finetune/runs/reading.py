"""From what stands in the form to the settings of a run, or a sentence that names the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from vlm_app.errors import BadInput
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.settings_table import schema, takes
from vlm_app.ui.finetune.runs.fields import TITLES

_LONGEST = 60  # characters of what was entered that a sentence repeats


class BadSetting(BadInput):
    """A setting that cannot be used; `field` is its name."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def read(form: Mapping[str, Any]) -> RunConfig:
    """The settings. An empty field has its ordinary value. Raises `BadSetting`."""
    given = {name: _plain(name, form[name]) for name in RunConfig.model_fields if _is_given(form.get(name))}
    try:
        config = RunConfig.model_validate(given)
    except ValidationError as error:
        name = str(error.errors(include_url=False)[0]["loc"][0])
        raise _refused(name, form.get(name)) from error
    if config.stage is not Stage.PROJECTOR and not config.towers:
        raise BadSetting("towers", "LoRA lies on at least one tower: choose one.")
    return config


def _is_given(value: Any) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _plain(name: str, value: Any) -> Any:
    """A number of what was typed; anything else as it is."""
    if not isinstance(value, str):
        return frozenset(map(str, value)) if isinstance(value, list) else value
    kind, text = schema(name)["type"], value.strip()
    if kind not in ("integer", "number"):
        return text
    try:
        return int(text.replace(",", "")) if kind == "integer" else float(text.replace(",", "."))
    except ValueError as error:
        raise _refused(name, value) from error


def _refused(name: str, value: Any) -> BadSetting:
    found = str(value)[:_LONGEST]
    title = TITLES.get(name, name)
    return BadSetting(name, f"{title} is {takes(name, '')}, found '{found}': change it.")
