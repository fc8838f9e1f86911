from __future__ import annotations

from typing import Any

from tests.families.checkpoints import template
from tests.families.checkpoints.qwen2_vl import ROPE, ids, images, text, words


def build() -> tuple[Any, Any]:
    from transformers import Qwen3VLConfig

    return of(Qwen3VLConfig)


def of(kind: Any, **more: Any) -> tuple[Any, Any]:
    """A processor and a config of that class; `more` goes to the language model."""
    from transformers import Qwen3VLProcessor, Qwen3VLVideoProcessor

    tokens = words()
    processor = Qwen3VLProcessor(
        images(patch=16), tokens, Qwen3VLVideoProcessor(), chat_template=template("qwen3_vl")
    )
    config = kind(
        text_config=text(tokens, head_dim=16, rope_parameters=ROPE | {"mrope_interleaved": True}, **more),
        vision_config={
            "depth": 3,
            "hidden_size": 64,
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
        },
        **ids(tokens),
    )
    return processor, config
