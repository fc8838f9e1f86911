from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def begins_with_s(words: Any) -> Any:
    """The tokenizer, made to put `<s>` before every text, as Llama's does."""
    from tokenizers.processors import TemplateProcessing

    words.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", words.bos_token_id)]
    )
    return words


def build() -> tuple[Any, Any]:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaProcessor

    words = begins_with_s(tokenizer(["<image>"]))
    side = {"height": 56, "width": 56}
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 56}, crop_size=side),
        words,
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=template("llava"),
    )
    config = LlavaConfig(
        text_config=LlamaConfig(vocab_size=len(words), pad_token_id=0, **DECODER),
        vision_config=CLIPVisionConfig(image_size=56, patch_size=14, **ENCODER),
        image_token_id=words.convert_tokens_to_ids("<image>"),
        image_token_index=words.convert_tokens_to_ids("<image>"),
    )
    return processor, config
