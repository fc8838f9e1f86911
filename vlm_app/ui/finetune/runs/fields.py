"""The form that starts a run: every setting in its group, with its few words. What it is filled with,
the browser is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from vlm_app.finetune.presets import PRESETS
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.settings_table import MEANS, default, schema, takes
from vlm_app.ui.pieces import attribute

TITLES: Mapping[str, str] = {
    "name": "Name", "base": "Base model", "precision": "Precision", "stage": "Stage", "preference": "Method",
    "adapter": "Go on from", "towers": "LoRA on", "rank": "Rank", "alpha": "Alpha", "dropout": "Dropout",
    "dora": "DoRA", "rslora": "rsLoRA", "rate": "Learning rate", "rate_vision": "Rate, vision",
    "rate_connector": "Rate, connector", "schedule": "Schedule", "warmup": "Warmup", "epochs": "Epochs",
    "steps": "Steps", "batch": "Batch", "accumulation": "Accumulation",
    "checkpointing": "Gradient checkpointing", "pixels": "Pixels",
    "rehearsal": "Rehearsal", "beta": "Beta", "held_out": "Held out", "watch": "Watch",
    "patience": "Patience", "evaluate_every": "Evaluate every", "save_every": "Save every", "seed": "Seed",
}  # fmt: skip
GROUPS: Sequence[tuple[str, Sequence[str]]] = (
    ("What learns", (
        "stage", "towers", "precision", "rank", "alpha", "dropout", "dora", "rslora", "adapter",
    )),
    ("How long, how fast", (
        "epochs", "steps", "batch", "accumulation", "rate", "rate_vision", "rate_connector",
        "schedule", "warmup",
    )),
    ("Held out, and when to stop", ("held_out", "watch", "patience", "evaluate_every", "save_every")),
    ("Memory", ("checkpointing", "pixels")),
    ("Not to forget, and to repeat", ("rehearsal", "seed")),
    ("Preferences", ("preference", "beta")),
)  # fmt: skip
APART = ("version", "name", "base")  # what stands above the fold, or nowhere
WORDS: Mapping[str, str] = {  # of values that are no words of everybody
    "projector": "1 · projector only", "instruction": "2 · answers to questions",
    "preference": "3 · preferences",
    "dpo": "DPO", "kto": "KTO", "int8": "int8 (QLoRA)", "nf4": "nf4 (QLoRA)", "loss": "held-out loss",
    "score": "held-out score", "vision": "vision tower", "language": "language model",
}  # fmt: skip
EMPTY: Mapping[str, str] = {
    "alpha": "twice the rank", "rate_vision": "the same", "rate_connector": "the same", "steps": "by epochs",
    "pixels": "as the family has it",
}  # fmt: skip


def form() -> str:
    """The whole form, empty."""
    return (
        '<form id="run-form" class="run-form" novalidate><h1>Teach a model</h1>'
        '<p id="run-empty" class="hint" hidden>A run learns from a dataset: make one in the place Datasets, '
        "or correct an answer in a chat.</p>"
        '<div class="run-what">'
        f"{_picker('dataset', 'Dataset', 'what it learns from')}"
        f"{_picker('base', 'Base model', '')}"
        '<label class="run-field" data-field="name"><span>Name</span>'
        '<input type="text" name="name" maxlength="80" autocomplete="off">'
        "<small>of the adapter</small></label>"
        f"</div>{_presets()}{_settings()}"
        '<div id="run-before" role="status"></div>'
        '<p id="run-refusal" role="alert" hidden></p>'
        '<div class="run-go"><button type="submit" class="go">Start</button>'
        '<button type="button" class="plain" data-run="measure">Measure the time</button>'
        '<small id="run-measured" role="status"></small></div></form>'
    )


def _picker(name: str, title: str, words: str) -> str:
    return (
        f'<label class="run-field" data-field="{name}"><span>{title}</span>'
        f'<select name="{name}"></select><small>{words}</small></label>'
    )


def _presets() -> str:
    cards = "".join(
        f'<label class="preset"><input type="radio" name="preset" value="{key}">'
        f"<strong>{escape(each.title)}</strong><small>{escape(each.words)}</small></label>"
        for key, each in PRESETS.items()
    )
    return f'<div class="presets" role="radiogroup" aria-label="Preset">{cards}</div>'


def _settings() -> str:
    groups = "".join(
        f'<fieldset class="run-group"><legend>{escape(title)}</legend>'
        f'<div class="run-grid">{"".join(field(name) for name in names)}</div></fieldset>'
        for title, names in GROUPS
    )
    return (
        '<details class="run-settings"><summary>Settings <small id="run-changed"></small></summary>'
        f"{groups}</details>"
    )


def field(name: str) -> str:
    """One setting: its title, what it is entered by, and its few words."""
    words = escape(MEANS[name].replace("`", "").removeprefix(f"{TITLES[name]}: "))
    kind, small = schema(name), f"<small>{words}</small>"
    if kind["type"] == "boolean":
        return (
            f'<label class="run-field check" data-field="{name}" title="{attribute(takes(name, ""))}">'
            f'<input type="checkbox" name="{name}"><span>{TITLES[name]}</span>{small}</label>'
        )
    if kind["type"] == "array":
        return _boxes(name, kind["items"]["enum"], small)
    entered = _select(name, kind["enum"]) if "enum" in kind else _text(name)
    if name == "adapter":
        entered = '<select name="adapter"><option value="">nothing: new layers</option></select>'
        small = "<small>an adapter of this base</small>"
    return (
        f'<label class="run-field" data-field="{name}" title="{attribute(takes(name, ""))}">'
        f"<span>{TITLES[name]}</span>{entered}{small}</label>"
    )


def _select(name: str, values: Sequence[str]) -> str:
    options = "".join(
        f'<option value="{attribute(each)}">{escape(WORDS.get(each, each))}</option>' for each in values
    )
    return f'<select name="{name}">{options}</select>'


def _text(name: str) -> str:
    """A number as text: what is wrong stays there, to be corrected."""
    empty = EMPTY.get(name, str(default(name)))
    return (
        f'<input type="text" inputmode="decimal" name="{name}" autocomplete="off" '
        f'placeholder="{attribute(empty)}">'
    )


def _boxes(name: str, values: Sequence[str], small: str) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" name="{name}" value="{attribute(each)}">'
        f"{escape(WORDS.get(each, each))}</label>"
        for each in values
    )
    return (
        f'<div class="run-field boxes" data-field="{name}" role="group" aria-label="{TITLES[name]}">'
        f"<span>{TITLES[name]}</span><div>{boxes}</div>{small}</div>"
    )


def values(config: RunConfig) -> dict[str, str | bool | list[str]]:
    """The settings as the form shows them."""
    plain = config.model_dump(mode="json")
    return {name: _shown(value) for name, value in plain.items() if name not in APART}


def _shown(value: object) -> str | bool | list[str]:
    if isinstance(value, bool):
        return value
    if isinstance(value, list):
        return sorted(map(str, value))
    if isinstance(value, float):
        return f"{value:g}"
    return "" if value is None else str(value)
