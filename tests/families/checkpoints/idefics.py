from __future__ import annotations

from typing import Any

from tests.families.checkpoints import tokenizer
from tests.families.checkpoints.llava import begins_with_s


def build() -> tuple[Any, Any]:
    from transformers import IdeficsConfig, IdeficsImageProcessor, IdeficsProcessor

    words = begins_with_s(tokenizer())
    words.add_tokens(["<fake_token_around_image>", "<image>"], special_tokens=True)  # the additional ones
    processor = IdeficsProcessor(IdeficsImageProcessor(image_size=28), words, image_size=28)
    config = IdeficsConfig(
        vocab_size=len(words) - 2,
        additional_vocab_size=2,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        cross_layer_interval=1,
        pad_token_id=0,
        vision_config={
            "embed_dim": 64,
            "image_size": 28,
            "patch_size": 14,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
        },
        perceiver_config={
            "resampler_n_latents": 4,
            "resampler_depth": 1,
            "resampler_n_heads": 4,
            "resampler_head_dim": 16,
        },
        use_resampler=True,
    )
    return processor, config
