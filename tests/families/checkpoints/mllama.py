from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer

_MARKS = ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|python_tag|>")


def build() -> tuple[Any, Any]:
    from transformers import MllamaConfig, MllamaImageProcessor, MllamaProcessor

    words = tokenizer(_MARKS, eos="<|eot_id|>", bos_token="<|begin_of_text|>")
    words.add_tokens(["<|image|>"], special_tokens=True)  # the last one: the model has no output for it
    processor = MllamaProcessor(
        MllamaImageProcessor(size={"height": 56, "width": 56}, max_image_tiles=4),
        words,
        chat_template=template("mllama"),
    )
    vision = {name: value for name, value in ENCODER.items() if name != "num_attention_heads"}
    config = MllamaConfig(
        text_config=DECODER
        | {
            "vocab_size": len(words) - 1,
            "cross_attention_layers": [1],
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
            "pad_token_id": 0,
            "bos_token_id": words.bos_token_id,
            "eos_token_id": words.eos_token_id,
        },
        vision_config=vision
        | {
            "attention_heads": 4,
            "num_global_layers": 1,
            "image_size": 56,
            "patch_size": 14,
            "max_num_tiles": 4,
            "intermediate_layers_indices": [0],
            "vision_output_dim": 128,
            "supported_aspect_ratios": [[1, 1], [1, 2], [1, 3], [1, 4], [2, 1], [2, 2], [3, 1], [4, 1]],
        },
        image_token_index=words.convert_tokens_to_ids("<|image|>"),
    )
    return processor, config
