from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLProcessor,
        InternVLVideoProcessor,
        Qwen2Config,
    )

    marks = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tags = [f"<{slash}{name}>" for name in ("quad", "ref", "box") for slash in ("", "/")]
    words = tokenizer(
        [*marks.values(), "<|im_start|>", "<|endoftext|>", *tags],
        eos="<|im_end|>",
        extra_special_tokens=marks,
    )
    side = {"height": 64, "width": 64}
    processor = InternVLProcessor(
        GotOcr2ImageProcessor(size=side, crop_to_patches=True, max_patches=4),
        words,
        InternVLVideoProcessor(size=side),
        image_seq_length=4,
        chat_template=template("internvl"),
    )
    config = InternVLConfig(
        text_config=Qwen2Config(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=ENCODER | {"image_size": [64, 64], "patch_size": [16, 16]},
        image_token_id=words.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return processor, config
