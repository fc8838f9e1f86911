from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import DeepseekOcr2Config, DeepseekOcr2ImageProcessor, DeepseekOcr2Processor

    words = tokenizer(
        ["<image>", "<|ref|>", "<|/ref|>", "<|det|>", "<|/det|>", "<|grounding|>"],
        eos="<｜end▁of▁sentence｜>",
        bos_token="<｜begin▁of▁sentence｜>",
        extra_special_tokens={"image_token": "<image>"},
    )
    processor = DeepseekOcr2Processor(
        DeepseekOcr2ImageProcessor(size={"height": 1024, "width": 1024}, tile_size=768),
        words,
        patch_size=16,
        downsample_ratio=4,
    )
    # Weights large enough that images still differ behind so many layers.
    heads = {"num_hidden_layers": 2, "num_attention_heads": 4, "initializer_range": 0.2}
    config = DeepseekOcr2Config(
        text_config=DECODER
        | {"vocab_size": len(words), "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1}
        | {"moe_intermediate_size": 64, "mlp_layer_types": ["dense", "sparse"], "pad_token_id": 0},
        vision_config={
            "sam_config": heads
            | {"hidden_size": 64, "output_channels": 64, "global_attn_indexes": [1]}
            | {"downsample_channels": [64, 64]},
            "encoder_config": heads
            | {"hidden_size": 64, "num_key_value_heads": 4, "intermediate_size": 128, "vocab_size": 1},
        },
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    return processor, config
