from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import LlavaConfig

    return of(LlavaConfig, 1, vision_feature_select_strategy="full")


def of(kind: Any, merged: int, **more: Any) -> tuple[Any, Any]:
    """A processor and a config of that class, `merged` × `merged` patches to a token."""
    from transformers import MistralConfig, PixtralImageProcessor, PixtralProcessor, PixtralVisionConfig

    words = tokenizer(["[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]"])
    patch = {"height": 16, "width": 16}
    processor = PixtralProcessor(
        PixtralImageProcessor(size={"longest_edge": 128}, patch_size=patch),
        words,
        patch_size=16,
        spatial_merge_size=merged,
        chat_template=template("pixtral"),
    )
    image = words.convert_tokens_to_ids("[IMG]")
    config = kind(
        text_config=MistralConfig(vocab_size=len(words), head_dim=16, pad_token_id=0, **DECODER),
        vision_config=PixtralVisionConfig(image_size=128, patch_size=16, **ENCODER),
        image_token_index=image,
        image_token_id=image,
        vision_feature_layer=-1,
        **more,
    )
    return processor, config
