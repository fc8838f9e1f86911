"""The models and conversations that are measured. Every answer has exactly the tokens that are asked for.

A model that ended its answers by itself would write fewer tokens here than there, so none of
them can: a built-in answer's end is as unlikely as padding, and random weights write words alone.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import shapes
from vlm_app import families
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Picture, Request, Role, Sampling, Turn

PRECISION = "bf16"
ADAPTERS = 2
QUESTIONS = (
    "How many shapes are there?",
    "Describe the image.",
    "What is left of the red circle?",
    "Which colour has the largest shape in the image?",
)
_TARGETS = r".*(text_model|language_model).*\.(q_proj|v_proj|down_proj)"


def pebble(folder: Path) -> Checkpoint:
    """The built-in model, which never ends an answer."""
    row = shapes.pebble()
    processor, model = opened(row)
    tokenizer = processor.tokenizer
    ends = {model.generation_config.eos_token_id, tokenizer.convert_tokens_to_ids(families.get("pebble").end)}
    words = model.get_output_embeddings().weight.data
    for end in ends:
        words[end] = words[tokenizer.pad_token_id]
    return _saved(row, processor, model, folder)


def wordy(row: Checkpoint) -> Checkpoint:
    """Instead of a model of random weights one that only writes words: other tokens have a logit of 0."""
    import torch

    processor, model = opened(row)
    tokenizer = processor.tokenizer
    decoded = {token: tokenizer.decode([token]).strip() for token in range(len(tokenizer))}
    silent = torch.ones(model.get_output_embeddings().weight.shape[0], dtype=torch.bool)
    silent[[token for token, text in decoded.items() if text.isascii() and text.isalpha()]] = False
    model.get_output_embeddings().weight.data[silent.to(model.device)] = 0
    folder = Path(row.source)
    made = _saved(row, processor, model, folder.with_name(f"{folder.name}-words"))
    shutil.rmtree(folder)  # 15 GB, of the largest
    return made


def opened(row: Checkpoint) -> tuple[Any, Any]:
    """Processor and model as transformers alone opens them, in `PRECISION` on the device that it has."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForImageTextToText.from_pretrained(row.source, dtype=torch.bfloat16).to(device)
    return AutoProcessor.from_pretrained(row.source), model.eval()


def adapt(row: Checkpoint) -> tuple[str, ...]:
    """The ids of two new LoRA adapters for a model, with random weights, in the data folder."""
    import torch
    from peft import LoraConfig, get_peft_model

    names = tuple(f"benchmark-{row.family}-{number}" for number in range(ADAPTERS))
    for seed, name in enumerate(names):
        torch.manual_seed(seed)
        tuned = get_peft_model(opened(row)[1], LoraConfig(r=16, target_modules=_TARGETS))
        for parameter, value in tuned.named_parameters():
            if "lora_B" in parameter:
                torch.nn.init.normal_(value, std=0.02)
        tuned.save_pretrained(settings().data / "adapters" / name)
    return names


def picture(seed: int, side: int = 256) -> Picture:
    """A drawn scene, of `side` pixels."""
    return picture_from(draw_scene(seed, kind="shapes", most=4, size=(side, side)).image)


def first_turn(row: Checkpoint, seen: Picture, tokens: int, question: int = 0) -> Request:
    """A question about an image, which will be answered with exactly so many tokens."""
    turns = (Turn(Role.USER, (seen, QUESTIONS[question % len(QUESTIONS)])),)
    return Request(turns, row.id, precision=PRECISION, sampling=Sampling(max_tokens=tokens), owner=None)


def follow_up(before: Request, answer: str, tokens: int) -> Request:
    """The next question of a conversation, about the same image."""
    said = Turn(Role.ASSISTANT, (answer,))
    asked = Turn(Role.USER, ("And where is the smallest one?",))
    return replace(before, turns=(*before.turns, said, asked), sampling=Sampling(max_tokens=tokens))


def _saved(row: Checkpoint, processor: Any, model: Any, folder: Path) -> Checkpoint:
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return replace(row, source=str(folder))
