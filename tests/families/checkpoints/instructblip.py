from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, tokenizer
from tests.families.checkpoints.blip2 import QFORMER
from tests.families.checkpoints.llava import begins_with_s


def _reader() -> Any:
    """A tokenizer for the Q-Former, which frames every text as BERT's does."""
    from tokenizers.processors import TemplateProcessing

    words = tokenizer(["[CLS]", "[SEP]"])
    marks = [(mark, words.convert_tokens_to_ids(mark)) for mark in ("[CLS]", "[SEP]")]
    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=marks
    )
    return words


def build() -> tuple[Any, Any]:
    from transformers import BlipImageProcessor, InstructBlipConfig, InstructBlipProcessor, LlamaConfig

    words, reader = begins_with_s(tokenizer(["<image>"])), _reader()
    processor = InstructBlipProcessor(
        BlipImageProcessor(size={"height": 56, "width": 56}), words, reader, num_query_tokens=4
    )
    image = words.convert_tokens_to_ids("<image>")
    text = LlamaConfig(vocab_size=len(words), pad_token_id=0, **DECODER)
    config = InstructBlipConfig(
        vision_config=ENCODER | {"image_size": 56, "patch_size": 14},
        qformer_config=QFORMER | {"vocab_size": len(reader)},
        text_config=text.to_dict() | {"model_type": "llama"},
        num_query_tokens=4,
        image_token_index=image,
        image_token_id=image,
    )
    return processor, config
