from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import (
        Lfm2Config,
        Lfm2VlConfig,
        Lfm2VlImageProcessor,
        Lfm2VlProcessor,
        Siglip2VisionConfig,
    )

    marks = ["<image>", "<|image_start|>", "<|image_end|>", "<|img_thumbnail|>"]
    tiles = [f"<|img_row_{row}_col_{column}|>" for row in range(1, 5) for column in range(1, 5)]
    words = tokenizer(
        ["<|startoftext|>", "<|im_start|>", *marks, *tiles], eos="<|im_end|>", bos_token="<|startoftext|>"
    )
    processor = Lfm2VlProcessor(
        Lfm2VlImageProcessor(
            tile_size=64,
            encoder_patch_size=16,
            downsample_factor=2,
            min_tiles=2,
            max_tiles=4,
            min_image_tokens=1,
            max_image_tokens=4,
            max_num_patches=16,
        ),
        words,
        chat_template=template("lfm2_vl"),
    )
    config = Lfm2VlConfig(
        text_config=Lfm2Config(
            vocab_size=len(words),
            layer_types=["conv", "full_attention"],
            pad_token_id=0,
            block_multiple_of=64,
            **DECODER,
        ),
        vision_config=Siglip2VisionConfig(patch_size=16, num_patches=16, vision_use_head=False, **ENCODER),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        downsample_factor=2,
        projector_hidden_size=64,
    )
    return processor, config
