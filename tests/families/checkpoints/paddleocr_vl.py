from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import PaddleOCRVLConfig, PaddleOCRVLImageProcessor, PaddleOCRVLProcessor

    marks = ["<|begin_of_sentence|>", "<|end_of_sentence|>", "<|IMAGE_START|>", "<|IMAGE_END|>"]
    marks += ["<|TEXT_START|>", "<|TEXT_END|>", "<|LOC_BEGIN|>", "<|LOC_END|>", "<|LOC_SEP|>"]
    places = [f"<|LOC_{number}|>" for number in range(1001)]
    image = "<|IMAGE_PLACEHOLDER|>"
    words = tokenizer([*marks, image, *places], extra_special_tokens={"image_token": image})
    processor = PaddleOCRVLProcessor(
        PaddleOCRVLImageProcessor(
            size={"shortest_edge": 56 * 56, "longest_edge": 112 * 112}, patch_size=14, merge_size=2
        ),
        words,
        chat_template=template("paddleocr_vl"),
    )
    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]}
    config = PaddleOCRVLConfig(
        text_config=DECODER | {"vocab_size": len(words), "head_dim": 16, "rope_parameters": rope},
        vision_config=ENCODER | {"image_size": 112, "patch_size": 14, "spatial_merge_size": 2},
        image_token_id=words.convert_tokens_to_ids(image),
        vision_start_token_id=words.convert_tokens_to_ids("<|IMAGE_START|>"),
        vision_end_token_id=words.convert_tokens_to_ids("<|IMAGE_END|>"),
    )
    return processor, config
