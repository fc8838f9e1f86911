"""The settings of a run in a few words each: what they mean, what they take, and what they have by default.

The page and `docs/finetune.md` say the same, because both take it from here.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any

from vlm_app.finetune.run_config import RunConfig

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
_WORDS = {"integer": "a whole number", "number": "a number", "string": "text", "boolean": "true or false"}
_LIMITS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}


def schema(name: str) -> dict[str, Any]:
    """What a setting takes, as a JSON schema; of one that may be left out, without that it may."""
    whole = _whole()
    part: dict[str, Any] = whole["properties"][name]
    if "$ref" in part:
        part = whole["$defs"][part["$ref"].rpartition("/")[2]]
    if "anyOf" in part:
        part = next(each for each in part["anyOf"] if each["type"] != "null")
    return part


@cache
def _whole() -> dict[str, Any]:
    """Made once: the page asks for each setting several times, and making it takes 10 ms."""
    return RunConfig.model_json_schema()


def takes(name: str, mark: str = "`") -> str:
    """What a setting takes, in words: 'a number, above 0, at most 1'. A value stands between `mark`s."""
    return _takes(schema(name), mark)


def default(name: str) -> Any:
    """What a setting has where nobody gives it."""
    value = RunConfig.model_fields[name].default
    return value.value if isinstance(value, Enum) else value


def _takes(part: dict[str, Any], mark: str) -> str:
    if "enum" in part:
        return ", ".join(f"{mark}{each}{mark}" for each in part["enum"])
    if "const" in part:
        return f"{part['const']}"
    if part["type"] == "array":
        return f"a list of {_takes(part['items'], mark)}"
    return _WORDS[part["type"]] + "".join(_limits(part))


def _limits(part: dict[str, Any]) -> Iterator[str]:
    yield from (f", {words} {part[key]:,g}" for key, words in _LIMITS.items() if key in part)
    if "maxLength" in part:
        yield f" of at most {part['maxLength']} characters"
