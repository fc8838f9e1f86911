from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import (
        DeepseekVLConfig,
        DeepseekVLImageProcessor,
        DeepseekVLProcessor,
        LlamaConfig,
        SiglipVisionConfig,
    )

    image = "<image_placeholder>"
    words = tokenizer(
        ["<｜begin▁of▁sentence｜>", image],
        eos="<｜end▁of▁sentence｜>",
        bos_token="<｜begin▁of▁sentence｜>",
        extra_special_tokens={"image_token": image},
    )
    processor = DeepseekVLProcessor(
        DeepseekVLImageProcessor(size={"height": 64, "width": 64}, min_size=16),
        words,
        chat_template=template("deepseek_vl"),
        num_image_tokens=16,
    )
    config = DeepseekVLConfig(
        text_config=LlamaConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=SiglipVisionConfig(image_size=64, patch_size=16, vision_use_head=False, **ENCODER),
        image_token_id=words.convert_tokens_to_ids(image),
    )
    return processor, config
