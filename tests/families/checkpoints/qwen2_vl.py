"""The tiny Qwen2-VL, and what the other Qwen families have in common with it."""

from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, template, tokenizer

TOKENS = [
    "<|im_start|>",
    "<|object_ref_start|>",
    "<|object_ref_end|>",
    "<|box_start|>",
    "<|box_end|>",
    "<|quad_start|>",
    "<|quad_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}


def words() -> Any:
    marks = {"image_token": "<|image_pad|>", "video_token": "<|video_pad|>"}
    return tokenizer(TOKENS, eos="<|im_end|>", extra_special_tokens=marks)


def text(words: Any, **more: Any) -> dict[str, Any]:
    """The config of the language model."""
    ends = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id, "pad_token_id": 0}
    return {"vocab_size": len(words), "rope_parameters": ROPE, **DECODER, **ends, **more}


def ids(words: Any) -> dict[str, int]:
    """The ids of the tokens that stand for images and videos."""
    names = ("image_pad", "video_pad", "vision_start", "vision_end")
    fields = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    found = (words.convert_tokens_to_ids(f"<|{name}|>") for name in names)
    return dict(zip(fields, found, strict=True))


def images(patch: int = 14) -> Any:
    from transformers import Qwen2VLImageProcessor

    cell = (2 * patch) ** 2
    return Qwen2VLImageProcessor(min_pixels=4 * cell, max_pixels=64 * cell, patch_size=patch)


def build() -> tuple[Any, Any]:
    from transformers import Qwen2VLConfig, Qwen2VLProcessor, Qwen2VLVideoProcessor

    tokens = words()
    processor = Qwen2VLProcessor(
        images(), tokens, Qwen2VLVideoProcessor(), chat_template=template("qwen2_vl")
    )
    config = Qwen2VLConfig(
        text_config=text(tokens),
        vision_config={"depth": 2, "embed_dim": 64, "hidden_size": 64, "num_heads": 4, "mlp_ratio": 2},
        **ids(tokens),
    )
    return processor, config
