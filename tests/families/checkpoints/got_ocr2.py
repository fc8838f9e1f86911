from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, tokenizer


# 256 pixels in patches of 4 become 16 × 16 tokens: the number of them is fixed in the processor.
def build() -> tuple[Any, Any]:
    from transformers import GotOcr2Config, GotOcr2ImageProcessor, GotOcr2Processor, Qwen2Config

    words = tokenizer(["<|im_start|>", "<|endoftext|>", "<img>", "</img>", "<imgpad>"], eos="<|im_end|>")
    processor = GotOcr2Processor(GotOcr2ImageProcessor(size={"height": 256, "width": 256}), words)
    config = GotOcr2Config(
        text_config=Qwen2Config(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config={
            "hidden_size": 64,
            "output_channels": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": 256,
            "patch_size": 4,
            "mlp_dim": 128,
            "window_size": 2,
            "global_attn_indexes": [],
        },
        image_token_index=words.convert_tokens_to_ids("<imgpad>"),
        image_token_id=words.convert_tokens_to_ids("<imgpad>"),
        image_seq_length=256,
    )
    return processor, config
