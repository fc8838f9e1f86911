from __future__ import annotations

from typing import Any

from tests.families.checkpoints import ENCODER, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import Kosmos2_5Config, Kosmos2_5ImageProcessor, Kosmos2_5Processor

    marks = {"boi_token": "<image>", "eoi_token": "</image>", "image_token": "<s>"}
    tags = ["<ocr>", "<md>", "<bbox>", "</bbox>", *(f"<{axis}_{n}>" for axis in "xy" for n in range(256))]
    words = tokenizer(["<image>", "</image>", *tags], extra_special_tokens=marks)
    processor = Kosmos2_5Processor(Kosmos2_5ImageProcessor(max_patches=64), words, num_image_tokens=8)
    config = Kosmos2_5Config(
        text_config={
            "vocab_size": len(words),
            "embed_dim": 64,
            "layers": 2,
            "ffn_dim": 128,
            "attention_heads": 4,
            "max_position_embeddings": 512,
            "dropout": 0.0,
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
        },
        vision_config=ENCODER | {"head_dim": 16, "max_num_patches": 64},
        latent_query_num=8,
    )
    return processor, config
