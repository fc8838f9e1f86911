from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import GemmaConfig, PaliGemmaConfig, PaliGemmaProcessor, SiglipImageProcessor

    words = tokenizer(["<image>"], eos="<eos>", extra_special_tokens={"image_token": "<image>"})
    reader = SiglipImageProcessor(size={"height": 56, "width": 56})
    reader.image_seq_length = 16
    processor = PaliGemmaProcessor(reader, words)  # adds the tokens of locations and masks
    config = PaliGemmaConfig(
        text_config=GemmaConfig(
            vocab_size=len(words), head_dim=16, pad_token_id=0, bos_token_id=1, eos_token_id=2, **DECODER
        ),
        vision_config={
            "model_type": "siglip_vision_model",
            "image_size": 56,
            "patch_size": 14,
            "projection_dim": 64,
            "vision_use_head": False,
            **ENCODER,
        },
        image_token_id=words.convert_tokens_to_ids("<image>"),
        projection_dim=64,
    )
    return processor, config
