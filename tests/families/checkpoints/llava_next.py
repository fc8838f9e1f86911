from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer
from tests.families.checkpoints.llava import begins_with_s

SHAPES = [[56, 112], [112, 56], [112, 112], [168, 56], [56, 168]]


def build() -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
        MistralConfig,
    )

    words = begins_with_s(tokenizer(["<image>"]))
    side = {"height": 56, "width": 56}
    processor = LlavaNextProcessor(
        LlavaNextImageProcessor(size={"shortest_edge": 56}, crop_size=side, image_grid_pinpoints=SHAPES),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("llava_next"),
    )
    config = LlavaNextConfig(
        text_config=MistralConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=CLIPVisionConfig(image_size=56, patch_size=14, **ENCODER),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        image_token_index=words.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=SHAPES,
    )
    return processor, config
