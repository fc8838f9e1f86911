from __future__ import annotations

from typing import Any

from tests.families.checkpoints import template
from tests.families.checkpoints.qwen2_vl import ids, images, text, words


def build() -> tuple[Any, Any]:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLProcessor, Qwen2VLVideoProcessor

    tokens = words()
    processor = Qwen2_5_VLProcessor(
        images(), tokens, Qwen2VLVideoProcessor(), chat_template=template("qwen2_5_vl")
    )
    config = Qwen2_5_VLConfig(
        text_config=text(tokens),
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "out_hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "fullatt_block_indexes": [1],
        },
        **ids(tokens),
    )
    return processor, config
