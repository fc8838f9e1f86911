from __future__ import annotations

from typing import Any

from tests.families.checkpoints import tokenizer


def build() -> tuple[Any, Any]:
    from transformers import BartConfig, CLIPImageProcessor, Florence2Config, Florence2Processor

    words = tokenizer(
        ["<mask>", "<image>", *(f"<loc_{n}>" for n in range(1000)), "<poly>", "</poly>", "<sep>"],
        extra_special_tokens={"image_token": "<image>"},
    )
    square = {"height": 96, "width": 96}
    reader = CLIPImageProcessor(size=square, do_center_crop=False, crop_size=square)
    reader.image_seq_length = 10  # 3 × 3 cells and their mean
    config = Florence2Config(
        text_config=BartConfig(
            vocab_size=len(words),
            d_model=64,
            encoder_layers=2,
            decoder_layers=2,
            encoder_attention_heads=4,
            decoder_attention_heads=4,
            encoder_ffn_dim=128,
            decoder_ffn_dim=128,
            dropout=0.0,
            init_std=0.1,
            max_position_embeddings=1024,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
            decoder_start_token_id=2,
            forced_bos_token_id=1,
            forced_eos_token_id=2,
        ),
        vision_config={
            "embed_dim": [64, 64, 64, 64],
            "num_heads": [1, 1, 2, 2],
            "num_groups": [1, 1, 2, 2],
            "depths": [1, 1, 1, 1],
            "window_size": 3,
            "projection_dim": 64,
            "drop_path_rate": 0.0,
        },
        image_token_id=words.convert_tokens_to_ids("<image>"),
    )
    return Florence2Processor(reader, words), config
