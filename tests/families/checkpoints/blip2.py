from __future__ import annotations

from typing import Any

from tests.families.checkpoints import ENCODER, tokenizer
from tests.families.checkpoints.llava import begins_with_s

QFORMER = ENCODER | {"encoder_hidden_size": 64}


def build() -> tuple[Any, Any]:
    from transformers import Blip2Config, Blip2Processor, BlipImageProcessor, OPTConfig

    words = begins_with_s(tokenizer(["<image>"]))
    processor = Blip2Processor(
        BlipImageProcessor(size={"height": 56, "width": 56}), words, num_query_tokens=4
    )
    image = words.convert_tokens_to_ids("<image>")
    text = OPTConfig(
        vocab_size=len(words),
        hidden_size=64,
        ffn_dim=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        word_embed_proj_dim=64,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=1,
    )
    config = Blip2Config(
        vision_config=ENCODER | {"image_size": 56, "patch_size": 14},
        qformer_config=QFORMER,
        text_config=text.to_dict() | {"model_type": "opt"},
        num_query_tokens=4,
        image_token_index=image,
        image_token_id=image,
    )
    return processor, config
