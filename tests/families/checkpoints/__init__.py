"""Tiny checkpoints of every native family: the real classes with random weights, built on the spot.

One module per native class with `build() -> (processor, config)`. Its file's name is the
family's; where a family speaks for several classes, the other ones' modules say whose they
are: `FAMILY = "deepseek_vl"`. Widths are multiples of 64, so that they can be quantized as well.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from tempfile import mkdtemp
from typing import Any

from PIL import Image

from vlm_app import families
from vlm_app.families import Family
from vlm_app.media import picture_from
from vlm_app.types import Checkpoint, Picture, Task

TEMPLATES = Path(__file__).parents[1] / "templates"
# A small Llama or Qwen decoder.
DECODER = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 4096,
}
ENCODER = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
_WORDS = [
    "a red circle left of a blue square. detect what is in the image? user assistant",
    'Find "cat", "dog" [0.1, 23, 456, 789] {"bbox_2d": [0, 1], "label": "x"}',
]


def names() -> tuple[str, ...]:
    """The checkpoints that can be built, most of them named like their family."""
    return tuple(sorted(module.name for module in iter_modules(__path__)))


def family(name: str) -> Family:
    """The family of the checkpoint of that name."""
    return families.get(getattr(import_module(f"{__name__}.{name}"), "FAMILY", name))


def tokenizer(special: Iterable[str] = (), eos: str = "</s>", **options: Any) -> Any:
    """A byte-level tokenizer of about 400 tokens with these special ones.

    `extra_special_tokens={"image_token": "<image>"}` gives it attributes that survive saving.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    base = list(dict.fromkeys(["<pad>", "<s>", eos, "<unk>", *special]))
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=len(base) + 400,
        special_tokens=base,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(_WORDS * 20, trainer)
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": eos, "unk_token": "<unk>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, **(marks | options))


def template(name: str) -> str:
    """A real chat template of `tests/families/templates`, without the comment that names its source."""
    return re.sub(r"\A\{#-.*?-#\}\n?", "", (TEMPLATES / f"{name}.jinja").read_text(), flags=re.DOTALL)


@cache
def checkpoint(name: str) -> Path:
    """The folder of the tiny checkpoint of that name, made once in a process."""
    import torch
    from transformers import AutoModelForImageTextToText

    with torch.device("cpu"):  # also when the first who wants it is about to build on meta
        processor, config = import_module(f"{__name__}.{name}").build()
        torch.manual_seed(0)
        model = AutoModelForImageTextToText.from_config(config)
    folder = Path(mkdtemp(prefix=f"tiny-{name}-"))
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    assert json.loads((folder / "config.json").read_text())["model_type"]
    return folder


def row(name: str, **changes: Any) -> Checkpoint:
    """A catalog row for the tiny checkpoint of that name."""
    facts = {"name": name, "family": family(name).name, "tasks": family(name).tasks}
    return Checkpoint(id=name, source=str(checkpoint(name)), **(facts | changes))


def picture(colour: str = "red", size: tuple[int, int] = (300, 200)) -> Picture:
    return picture_from(Image.new("RGB", size, colour))


__all__ = [
    "DECODER",
    "ENCODER",
    "Task",
    "checkpoint",
    "family",
    "names",
    "picture",
    "row",
    "template",
    "tokenizer",
]
