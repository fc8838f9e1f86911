from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import Gemma3Config, Gemma3ImageProcessor, Gemma3Processor

    marks = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    words = tokenizer(
        ["<bos>", "<start_of_turn>", "<end_of_turn>", *marks.values()],
        eos="<eos>",
        bos_token="<bos>",
        extra_special_tokens=marks,
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(size={"height": 56, "width": 56}),
        words,
        chat_template=template("gemma3"),
        image_seq_length=4,
    )
    image = words.image_token_id
    config = Gemma3Config(
        text_config={"vocab_size": len(words), "head_dim": 16, "sliding_window": 64, **DECODER},
        vision_config=ENCODER | {"image_size": 56, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=4,
        boi_token_index=words.boi_token_id,
        eoi_token_index=words.eoi_token_id,
        image_token_index=image,
        image_token_id=image,
    )
    return processor, config
