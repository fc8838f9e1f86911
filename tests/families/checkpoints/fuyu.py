from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import FuyuConfig, FuyuImageProcessor, FuyuProcessor

    words = tokenizer(["|SPEAKER|", "|NEWLINE|", *(f"<0x0{n}>" for n in range(8))])
    processor = FuyuProcessor(FuyuImageProcessor(size={"height": 120, "width": 180}), words)
    text = {name: value for name, value in DECODER.items() if name != "num_key_value_heads"}
    config = FuyuConfig(
        text_config={"model_type": "persimmon", "vocab_size": len(words), **text},
        vocab_size=len(words),
        patch_size=30,
        hidden_size=64,
        image_token_id=words.convert_tokens_to_ids("|SPEAKER|"),
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return processor, config
