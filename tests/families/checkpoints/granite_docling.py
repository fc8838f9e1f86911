from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import Idefics3Config, Idefics3ImageProcessor, Idefics3Processor, LlamaConfig

    marks = ["<|start_of_role|>", "<|end_of_role|>", "<image>", "<fake_token_around_image>", "<global-img>"]
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    blocks = ["doctag", "text", "title", "section_header_level_1", "picture", "caption", "otsl"]
    tags = [f"<{slash}{name}>" for name in blocks for slash in ("", "/")] + ["<fcel>", "<ched>", "<nl>"]
    places = [f"<loc_{number}>" for number in range(501)]
    words = tokenizer([*marks, *tiles, *tags, *places], eos="<|end_of_text|>")
    processor = Idefics3Processor(
        Idefics3ImageProcessor(size={"longest_edge": 128}, max_image_size={"longest_edge": 64}),
        words,
        image_seq_len=4,
        chat_template=template("granite_docling"),
    )
    config = Idefics3Config(
        text_config=LlamaConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=ENCODER | {"image_size": 64, "patch_size": 16},
        image_token_id=words.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    return processor, config
