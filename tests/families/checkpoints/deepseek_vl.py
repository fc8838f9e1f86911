from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer

IMAGE = "<image_placeholder>"


def words() -> Any:
    return tokenizer(
        ["<｜begin▁of▁sentence｜>", IMAGE],
        eos="<｜end▁of▁sentence｜>",
        bos_token="<｜begin▁of▁sentence｜>",
        extra_special_tokens={"image_token": IMAGE},
    )


def chat_template() -> str:
    return template("deepseek_vl")


def build() -> tuple[Any, Any]:
    from transformers import (
        DeepseekVLConfig,
        DeepseekVLImageProcessor,
        DeepseekVLProcessor,
        LlamaConfig,
        SiglipVisionConfig,
    )

    known = words()
    processor = DeepseekVLProcessor(
        DeepseekVLImageProcessor(size={"height": 64, "width": 64}, min_size=16),
        known,
        chat_template=chat_template(),
        num_image_tokens=16,
    )
    config = DeepseekVLConfig(
        text_config=LlamaConfig(vocab_size=len(known), pad_token_id=0, **DECODER),
        vision_config=SiglipVisionConfig(image_size=64, patch_size=16, vision_use_head=False, **ENCODER),
        image_token_id=known.convert_tokens_to_ids(IMAGE),
    )
    return processor, config
