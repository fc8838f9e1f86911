from __future__ import annotations

from typing import Any

from tests.families.checkpoints import ENCODER, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import CLIPImageProcessor, Kosmos2Config, Kosmos2Processor

    words = tokenizer()
    square = {"height": 56, "width": 56}
    processor = Kosmos2Processor(CLIPImageProcessor(size={"shortest_edge": 56}, crop_size=square), words)
    config = Kosmos2Config(
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
        vision_config=ENCODER | {"image_size": 56, "patch_size": 14},
        latent_query_num=64,  # as many as the processor makes places
    )
    return processor, config
