"""docs/finetune.md, its table of settings generated from `RunConfig`: `python -m tests.finetune.document`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

from vlm_app.finetune.run_config import RunConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "finetune.md"
BEGIN, END = "<!-- settings: generated -->", "<!-- end of settings -->"
MEANS = {
    "version": "of this file's form",
    "name": "of the adapter",
    "base": "the model that is taught, as `vlm-app models` lists it",
    "precision": "of the base; int8 and nf4 make it QLoRA, auto is what the hardware multiplies best",
    "stage": "the projector alone, answers to questions, or the right answer rather than the wrong one",
    "preference": "how preferences are learned",
    "adapter": "the id of an adapter to go on from",
    "towers": "which get LoRA layers",
    "rank": "of the LoRA matrices",
    "alpha": "scales LoRA by alpha / rank; twice the rank if not given",
    "dropout": "share of LoRA's inputs that is left out",
    "dora": "DoRA: magnitudes learn apart from directions",
    "rslora": "rsLoRA: scaled by alpha / √rank",
    "rate": "learning rate",
    "rate_vision": "learning rate of the vision tower, where it differs",
    "rate_connector": "learning rate of the connector, where it differs",
    "schedule": "of the learning rate",
    "warmup": "share of the steps in which the rate rises",
    "epochs": "how often each example is seen, unless `steps` is given",
    "steps": "how many steps, instead of epochs",
    "batch": "examples at once",
    "accumulation": "batches of a step",
    "checkpointing": "activations are computed again instead of kept: less memory, slower",
    "pixels": "most pixels of an image that the model sees, where its family allows a choice",
    "rehearsal": "scenes of what the base knows that are mixed in, where it has a world of its own",
    "beta": "of DPO and KTO: how close it stays to the base",
    "held_out": "share of the images that is not taught, to see whether it helped",
    "watch": "what must get better",
    "patience": "evaluations without a better one until the run ends early; 0: never",
    "evaluate_every": "steps between two evaluations",
    "save_every": "steps between two checkpoints: a killed trainer loses at most these",
    "seed": "of the split, the order and the new weights",
}


def table() -> str:
    """Markdown: every key of a run's file."""
    schema = RunConfig.model_json_schema()
    defaults = {name: field.default for name, field in RunConfig.model_fields.items()}
    rows = [
        f"| `{name}` | {_values(part, schema)} | {_default(defaults[name])} | {MEANS[name]} |"
        for name, part in schema["properties"].items()
    ]
    return "\n".join(["| key | value | if not given | what |", "| --- | --- | --- | --- |", *rows])


def page(text: str) -> str:
    """The page with its table as it should be."""
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def _values(part: dict[str, Any], schema: dict[str, Any]) -> str:
    """What a key takes, in words."""
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        part = next(each for each in part["anyOf"] if each["type"] != "null")
    if "enum" in part:
        return ", ".join(f"`{each}`" for each in part["enum"])
    if "const" in part:
        return f"{part['const']}"
    if part["type"] == "array":
        return f"a list of {_values(part['items'], schema)}"
    words = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
    return words[part["type"]] + "".join(_limits(part))


def _limits(part: dict[str, Any]) -> Iterator[str]:
    said = {
        "minimum": "at least",
        "exclusiveMinimum": "above",
        "maximum": "at most",
        "exclusiveMaximum": "below",
    }
    yield from (f", {words} {part[key]:,g}" for key, words in said.items() if key in part)
    if "maxLength" in part:
        yield f" of at most {part['maxLength']} characters"


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, frozenset):
        return f"`[{', '.join(repr(each) for each in sorted(value))}]`".replace("'", '"')
    value = value.value if isinstance(value, Enum) else value
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
