"""Models of real shapes with random weights, for measurements where nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vlm_app import families
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Picture, Role, Task, Turn

_VISION = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
_ROPE = {"rope_type": "default", "mrope_section": [16, 24, 24], "rope_theta": 1e6}
# Sizes of huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct and -7B-Instruct, their config.json.
QWEN: dict[str, dict[str, Any]] = {
    "Qwen2.5-VL-3B shape": {
        "vocab_size": 151936,
        "hidden_size": 2048,
        "intermediate_size": 11008,
        "num_hidden_layers": 36,
        "num_attention_heads": 16,
        "num_key_value_heads": 2,
        "tie_word_embeddings": True,
    },
    "Qwen2.5-VL-7B shape": {
        "vocab_size": 152064,
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
    },
}


def pebble() -> Checkpoint:
    """The built-in model."""
    return _row("Pebble", "pebble", settings().models / "pebble")


def qwen(name: str, folder: Path) -> Checkpoint:
    """Qwen2.5-VL of a size in `QWEN`, written into `folder`."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from tests.families.checkpoints.qwen2_5_vl import build

    processor, tiny = build()
    text = {**tiny.text_config.to_dict(), **QWEN[name], "rope_parameters": _ROPE}
    text.pop("layer_types", None)  # one for each layer of the tiny one
    marks = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config={**_VISION, "out_hidden_size": text["hidden_size"]},
        tie_word_embeddings=text["tie_word_embeddings"],
        **{mark: getattr(tiny, mark) for mark in marks},
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device(device):
        torch.set_default_dtype(torch.bfloat16)
        try:
            model = Qwen2_5_VLForConditionalGeneration(config)
        finally:
            torch.set_default_dtype(torch.float32)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return _row(name, "qwen2_5_vl", folder)


def encoded(loaded: Any, picture: Picture, answer: str | None = None) -> dict[str, Any]:
    """A question about a picture as the model's inputs, on its device; with `answer` the labels as well."""
    turns = (Turn(Role.USER, (picture, "How many shapes are there?")),)
    inputs, _ = loaded.family.encode(loaded.processor, turns, task=Task.CHAT, answer=answer)
    dtype = loaded.model.dtype
    return {
        name: value.to(loaded.device, dtype if value.is_floating_point() else value.dtype)
        for name, value in inputs.items()
    }


def machine() -> str:
    """This machine in a few words: its GPU where there is one, else its processor."""
    import torch

    from vlm_app.pebble.card import processor

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else processor()


def _row(name: str, family: str, folder: Path) -> Checkpoint:
    return Checkpoint(id=name, name=name, family=family, source=str(folder), tasks=families.get(family).tasks)
