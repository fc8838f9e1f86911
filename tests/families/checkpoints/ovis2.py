from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import Ovis2Config, Ovis2ImageProcessor, Ovis2Processor, Qwen2Config

    visual = ["<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>"]
    words = tokenizer(
        ["<image>", "<IMG_ATOM>", *visual, "<|im_start|>", "<|endoftext|>"],
        eos="<|im_end|>",
        extra_special_tokens={"image_token": "<IMG_ATOM>"},
    )
    processor = Ovis2Processor(
        Ovis2ImageProcessor(size={"height": 64, "width": 64}, crop_to_patches=True, max_patches=4),
        words,
        chat_template=template("ovis2"),
        image_seq_length=4,
    )
    config = Ovis2Config(
        text_config=Qwen2Config(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=ENCODER
        | {"image_size": 64, "patch_size": 16, "hidden_stride": 2, "vocab_size": 64 + 5}
        | {"num_visual_indicator_tokens": 5},
        image_token_id=words.convert_tokens_to_ids("<IMG_ATOM>"),
        visual_indicator_token_ids=words.convert_tokens_to_ids(visual),
        vocab_size=len(words),
        hidden_size=64,
    )
    return processor, config
