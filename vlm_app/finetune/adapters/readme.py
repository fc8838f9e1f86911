"""The README of an adapter or a merged model, as the Hub reads it.

Sources: huggingface.co/docs/hub/model-cards for the front matter, and
huggingface.co/docs/hub/repositories-licenses for the names of licences. Whatever a person wrote is
escaped: in the front matter as JSON, which is YAML, in the text as CommonMark has it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from vlm_app.finetune.adapters.card import Card
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.scoring import FIGURES
from vlm_app.types import Checkpoint

# By the catalog's words. Of models that were added from the Hub the licence is in its own; any other is
# 'other' there, with its name.
_LICENCES = {
    "Apache-2.0": "apache-2.0",
    "MIT": "mit",
    "CC-BY-NC-4.0": "cc-by-nc-4.0",
    "Gemma": "gemma",
    "Llama 2 Community": "llama2",
    "Llama 3.2 Community": "llama3.2",
}
_ON_HUB = frozenset(
    "apache-2.0 mit openrail bigscience-openrail-m creativeml-openrail-m bigscience-bloom-rail-1.0 bsd "
    "bsd-2-clause bsd-3-clause cc cc0-1.0 cc-by-2.0 cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 "
    "cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-3.0 "
    "cc-by-nc-sa-4.0 artistic-2.0 afl-3.0 agpl-3.0 gpl gpl-2.0 gpl-3.0 lgpl lgpl-2.1 lgpl-3.0 isc mpl-2.0 "
    "unlicense wtfpl zlib deepfloyd-if-license apple-amlr gemma llama2 llama3 llama3.1 llama3.2 llama3.3 "
    "llama4".split()
)
_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>&<:@$=^\"'])")  # any ASCII punctuation may be escaped
_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def readme(card: Card, base: Checkpoint | None, *, merged: bool = False) -> str:
    """The text of the file. `base` is the row of the catalog, None where it is not in it.

    `merged` is for the whole model with the adapter in its weights.
    """
    parts = [
        _front(card, base, merged),
        f"# {escaped(card.name)}",
        _about(card, base, merged),
        "## Did it help?",
        _verdict(card),
        *_table(card),
        "## What it was taught",
        _taught(card),
        *_settings(card),
        "## How to use it",
        _use(card, base, merged),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def escaped(text: str) -> str:
    """A text on one line in which nothing is Markdown or HTML."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return _MARKS.sub(r"\\\1", plain)


def on_hub(card: Card, base: Checkpoint | None) -> str:
    """The base's repository on the Hub; '' where it has none."""
    known = base.source if base else card.base
    return known if re.fullmatch(r"[\w.-]+/[\w.-]+", known) else ""


# --- front matter -------------------------------------------------------------------------


def _front(card: Card, base: Checkpoint | None, merged: bool) -> str:
    facts: dict[str, object] = {}
    if repo := on_hub(card, base):
        facts["base_model"] = repo
        facts["base_model_relation"] = "merge" if merged else "adapter"
    facts["library_name"] = "transformers" if merged else "peft"
    facts["pipeline_tag"] = "image-text-to-text"
    if base and base.licence:
        known = _LICENCES.get(base.licence, base.licence if base.licence in _ON_HUB else "other")
        facts["license"] = known
        if known == "other":
            facts["license_name"] = base.licence
    facts["tags"] = list(_tags(card, merged))
    return "\n".join(["---", *(f"{name}: {json.dumps(value)}" for name, value in facts.items()), "---"])


def _tags(card: Card, merged: bool) -> Iterator[str]:
    yield from () if merged else ("lora",)
    yield "vision-language-model"
    if card.settings:
        yield "trl"
        yield card.settings.preference if card.settings.stage is Stage.PREFERENCE else "sft"


# --- what it is ---------------------------------------------------------------------------


def _about(card: Card, base: Checkpoint | None, merged: bool) -> str:
    repo = on_hub(card, base)
    name = escaped(base.name if base else card.base)
    named = f"[{name}](https://huggingface.co/{repo})" if repo else name
    revision = f", revision `{_code(card.revision)}`" if card.revision else ""
    what = (
        f"A model for images and text: {named}{revision}, with a LoRA adapter merged into its weights."
        if merged
        else f"A LoRA adapter for {named}{revision}."
    )
    made = f" Made on {card.created.date().isoformat()}." if card.created else ""
    through = (
        f" The base was loaded in {_code(card.precision)} while it was taught and scored; the adapter was "
        "added to those very weights, written out in fp32."
        if merged and card.precision
        else ""
    )
    rounded = f" {note}" if merged and (note := rounding(card)) else ""
    return what + made + through + rounded


def rounding(card: Card) -> str:
    """Why a merged model answers a little differently from what was scored; '' where it does not."""
    if card.precision != "int8":
        return ""
    return (
        "What was scored in int8 also rounded what flows between the layers, which the merged model does "
        "not: some of its answers may differ a little."
    )


def _verdict(card: Card) -> str:
    return escaped(card.verdict) if card.verdict else "Nobody has measured it."


def _table(card: Card) -> Iterator[str]:
    if not card.scores:
        return
    rows = ["| task | figure | before | after | what changed | 95 % interval | examples | images |"]
    rows.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for score in card.scores:
        figure = FIGURES.get(score.figure)
        share = figure is not None and figure.share
        cells = [
            escaped(score.task.replace("_", " ")),
            figure.title if figure else escaped(score.figure),
            _number(score.before, share),
            _number(score.after, share),
            escaped(score.words),
            f"{_signed(score.low, share)} to {_signed(score.high, share)}",
            str(score.examples),
            str(score.images),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    yield "\n".join(rows)
    yield (
        "The same held-out examples were answered without the adapter and with it. Shares are in points of a "
        "hundred; the interval is that of the gain, above 0 where it got better, by drawing the images anew."
    )


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.2f}"


def _signed(value: float, share: bool) -> str:
    return f"{100 * value + 0.0:+.1f}" if share else f"{value + 0.0:+.2f}"


def _taught(card: Card) -> str:
    data = card.data
    if not data.sha256:
        return "Nobody wrote it down."
    named = f"“{escaped(data.name)}”" if data.name else "A dataset"
    return (
        f"{named}: {data.train:,} examples were taught and {data.held_out:,} held out "
        f"(SHA-256 of them all: `{_code(data.sha256)}`)."
    )


def _settings(card: Card) -> Iterator[str]:
    if card.settings is None:
        return
    usual = RunConfig(name=card.settings.name, base=card.settings.base)
    told = card.settings.model_dump(mode="json", exclude={"version", "name", "base", "adapter"})
    rows = ["| setting | value |", "| --- | --- |"]
    for name, value in told.items():
        if value is not None:
            shown = ", ".join(sorted(value)) if isinstance(value, list) else str(value)
            changed = value != usual.model_dump(mode="json")[name]
            rows.append(f"| {escaped(name)} | {'**' * changed}{escaped(shown)}{'**' * changed} |")
    yield "## Settings"
    yield "\n".join(rows)
    yield "In bold what differs from an ordinary run of this app."


# --- how to use it ------------------------------------------------------------------------


def _use(card: Card, base: Checkpoint | None, merged: bool) -> str:
    repo = on_hub(card, base)
    where = repo or "FOLDER_OF_THE_BASE"
    note = "" if repo or merged else _local(card, base)
    dtype = _DTYPES.get(card.precision, "auto")
    if merged:
        lines = [
            "from transformers import AutoModelForImageTextToText, AutoProcessor",
            "",
            'folder = "."  # or the name of this repository',
            "processor = AutoProcessor.from_pretrained(folder)",
            "model = AutoModelForImageTextToText.from_pretrained(folder)",
        ]
        ours = "vlm-app models add FOLDER"
        words = "In this app, `" + ours + "` adds it to the models; its weights are in fp32."
    else:
        revision = f', revision="{_code(card.revision)}"' if card.revision and repo else ""
        lines = [
            "from peft import PeftModel",
            "from transformers import AutoModelForImageTextToText, AutoProcessor",
            "",
            f"base = {json.dumps(where)}",
            f"processor = AutoProcessor.from_pretrained(base{revision})",
            f'model = AutoModelForImageTextToText.from_pretrained(base{revision}, dtype="{dtype}")',
            'model = PeftModel.from_pretrained(model, ".")  # or the name of this repository',
        ]
        words = (
            "In this app: bring the zip to the tab Fine-tune, or unpack it to `adapters/NAME/` of the data "
            "folder; it then stands in the settings of its base."
        )
    quantized = (
        f"It was taught and scored on the base in {card.precision}; in other numbers it answers a little "
        "differently."
        if card.precision in ("int8", "nf4") and not merged
        else ""
    )
    return "\n\n".join(filter(None, [note, "```python\n" + "\n".join(lines) + "\n```", quantized, words]))


def _local(card: Card, base: Checkpoint | None) -> str:
    name = escaped(base.name if base else card.base)
    return f"{name} is on no Hub: it comes with this app or lies in a folder of who made this."


def _code(text: str) -> str:
    """What may stand between backticks."""
    return re.sub(r"[^\w.+-]", "", text)
