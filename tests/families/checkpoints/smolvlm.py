from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import (
        LlamaConfig,
        SmolVLMConfig,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    marks = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    words = tokenizer(
        [*marks.values(), "<|im_start|>", *tiles], eos="<end_of_utterance>", extra_special_tokens=marks
    )
    frame = {"longest_edge": 64}
    processor = SmolVLMProcessor(
        SmolVLMImageProcessor(size={"longest_edge": 128}, max_image_size=frame),
        words,
        SmolVLMVideoProcessor(size=frame, max_image_size=frame),
        image_seq_len=4,
        chat_template=template("smolvlm"),
    )
    config = SmolVLMConfig(
        text_config=LlamaConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=ENCODER | {"image_size": 64, "patch_size": 16},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    return processor, config
