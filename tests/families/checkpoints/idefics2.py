from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer
from tests.families.checkpoints.llava import begins_with_s


def build() -> tuple[Any, Any]:
    from transformers import Idefics2Config, Idefics2ImageProcessor, Idefics2Processor, MistralConfig

    words = begins_with_s(tokenizer(["<image>", "<fake_token_around_image>", "<end_of_utterance>"]))
    processor = Idefics2Processor(
        Idefics2ImageProcessor(size={"longest_edge": 98, "shortest_edge": 42}, do_image_splitting=False),
        words,
        image_seq_len=4,
        chat_template=template("idefics2"),
    )
    config = Idefics2Config(
        text_config=MistralConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=ENCODER | {"image_size": 98, "patch_size": 14},
        perceiver_config={
            "hidden_size": 64,
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "num_key_value_heads": 2,
            "resampler_head_dim": 16,
        },
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    return processor, config
