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
_SMALL_VISION = {
    "depth": 6,
    "hidden_size": 512,
    "intermediate_size": 1408,
    "num_heads": 8,
    "fullatt_block_indexes": [5],
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
# As many visual tokens as the real ones, and a decoder that a processor reads them with in a second.
SMALL: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 8,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "tie_word_embeddings": False,
}


def pebble() -> Checkpoint:
    """The built-in model."""
    return _row("Pebble", "pebble", settings().models / "pebble")


def qwen(name: str, folder: Path) -> Checkpoint:
    """Qwen2.5-VL of a size in `QWEN`, written into `folder`."""
    return built(name, folder, QWEN[name], _VISION)


def small(folder: Path, text: dict[str, Any] = SMALL, vision: dict[str, Any] = _SMALL_VISION) -> Checkpoint:
    """A Qwen2.5-VL that a processor runs at once, for images of up to 2,000 visual tokens."""
    return built("Qwen2.5-VL small", folder, text, vision, visual_tokens=2000)


def built(
    name: str, folder: Path, text: dict[str, Any], vision: dict[str, Any], visual_tokens: int = 64
) -> Checkpoint:
    """A Qwen2.5-VL of these sizes with random weights, written into `folder`."""
    import torch
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from tests.families.checkpoints.qwen2_5_vl import build

    processor, tiny = build()
    images = processor.image_processor
    images.size.longest_edge = visual_tokens * (images.patch_size * images.merge_size) ** 2
    whole = {**tiny.text_config.to_dict(), "vocab_size": len(processor.tokenizer), **text}
    whole["rope_parameters"] = _ROPE
    whole.pop("layer_types", None)  # one for each layer of the tiny one
    marks = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    config = Qwen2_5_VLConfig(
        text_config=whole,
        vision_config={**vision, "out_hidden_size": whole["hidden_size"]},
        tie_word_embeddings=whole["tie_word_embeddings"],
        **{mark: getattr(tiny, mark) for mark in marks},
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(0)
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
