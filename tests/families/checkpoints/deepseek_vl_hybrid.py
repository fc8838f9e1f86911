"""DeepSeek-VL 7B: the same family as the 1.3B model, with a second encoder for a larger image."""

from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, deepseek_vl

FAMILY = "deepseek_vl"


def build() -> tuple[Any, Any]:
    from transformers import (
        DeepseekVLHybridConfig,
        DeepseekVLHybridImageProcessor,
        DeepseekVLHybridProcessor,
        LlamaConfig,
        SamVisionConfig,
        SiglipVisionConfig,
    )

    words = deepseek_vl.words()
    processor = DeepseekVLHybridProcessor(
        DeepseekVLHybridImageProcessor(
            size={"height": 64, "width": 64}, high_res_size={"height": 128, "width": 128}, min_size=16
        ),
        words,
        chat_template=deepseek_vl.chat_template(),
        num_image_tokens=16,
    )
    config = DeepseekVLHybridConfig(
        text_config=LlamaConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=SiglipVisionConfig(image_size=64, patch_size=16, vision_use_head=False, **ENCODER),
        high_res_vision_config=SamVisionConfig(
            **ENCODER,
            image_size=128,
            patch_size=16,
            output_channels=64,
            window_size=4,
            global_attn_indexes=[0],
            mlp_dim=128,
        ),
        image_token_id=words.convert_tokens_to_ids(deepseek_vl.IMAGE),
    )
    return processor, config
