from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, template, tokenizer
from tests.families.checkpoints.qwen2_vl import ROPE

_MEDIA = [f"<|{side}_of_{name}|>" for name in ("image", "video", "box") for side in ("begin", "end")]
_TOKENS = ["[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>", *_MEDIA]
_THOUGHT = ["<think>", "</think>", "<answer>", "</answer>"]


def build() -> tuple[Any, Any]:
    from transformers import Glm4vConfig, Glm4vImageProcessor, Glm4vProcessor, Glm4vVideoProcessor

    return of(Glm4vConfig, Glm4vProcessor, Glm4vImageProcessor, Glm4vVideoProcessor)


def of(kind: Any, processes: Any, images: Any, videos: Any, **more: Any) -> tuple[Any, Any]:
    """A processor and a config of these classes; `more` goes to the language model."""
    marks = {"image_token": "<|image|>", "video_token": "<|video|>"}
    words = tokenizer([*_TOKENS, *_THOUGHT, *marks.values()], eos="<|endoftext|>", extra_special_tokens=marks)
    processor = processes(
        images(size={"shortest_edge": 2 * 28 * 28, "longest_edge": 128 * 28 * 28}),
        words,
        videos(),
        chat_template=template("glm4v"),
    )
    ids = {
        f"{name}_{field}": words.convert_tokens_to_ids(token)
        for name in ("image", "video")
        for field, token in (
            ("token_id", f"<|{name}|>"),
            ("start_token_id", f"<|begin_of_{name}|>"),
            ("end_token_id", f"<|end_of_{name}|>"),
        )
    }
    config = kind(
        text_config={
            "vocab_size": len(words),
            "rope_parameters": ROPE | {"partial_rotary_factor": 0.5, "mrope_section": [2, 1, 1]},
            "pad_token_id": 0,
            "eos_token_id": words.eos_token_id,
            **DECODER,
            **more,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "image_size": 56,
        },
        **ids,
    )
    return processor, config
