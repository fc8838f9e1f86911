from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer
from tests.families.checkpoints.llava_next import SHAPES


def build() -> tuple[Any, Any]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    words = tokenizer(["<image>", "<video>", "<|im_start|>", "<|im_end|>"], eos="<|im_end|>")
    side = {"height": 56, "width": 56}
    processor = LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=side, image_grid_pinpoints=SHAPES),
        words,
        LlavaOnevisionVideoProcessor(size=side),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template("llava_onevision"),
    )
    image = words.convert_tokens_to_ids("<image>")
    config = LlavaOnevisionConfig(
        text_config=Qwen2Config(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=SiglipVisionConfig(image_size=56, patch_size=14, vision_use_head=False, **ENCODER),
        image_token_index=image,
        image_token_id=image,
        video_token_id=words.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=SHAPES,
        vision_feature_select_strategy="full",
    )
    return processor, config
