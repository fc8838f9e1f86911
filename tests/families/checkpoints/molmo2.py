from __future__ import annotations

from typing import Any

from tests.families.checkpoints import DECODER, ENCODER, template, tokenizer


def build() -> tuple[Any, Any]:
    from transformers import Molmo2Config, Molmo2ImageProcessor, Molmo2Processor, Molmo2VideoProcessor

    marks = {"image_token": "<|image|>", "video_token": "<|video|>"}
    visual = ["<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<im_low>"]
    visual += ["<frame_start>", "<frame_end>"]
    words = tokenizer(
        [*marks.values(), *visual, "<|im_start|>", "<|endoftext|>"],
        eos="<|im_end|>",
        bos_token="<|im_end|>",  # as in the published tokenizers, whose processor begins a prompt with it
        extra_special_tokens=marks,
    )
    side = {"height": 64, "width": 64}
    processor = Molmo2Processor(
        Molmo2ImageProcessor(size=side, max_crops=2, patch_size=16, overlap_margins=[1, 1]),
        Molmo2VideoProcessor(size=side, patch_size=16),
        words,
        chat_template=template("molmo2"),
        use_single_crop_col_tokens=False,
    )
    heads = {"num_key_value_heads": 4, "head_dim": 16}
    ids = dict(zip(visual, words.convert_tokens_to_ids(visual), strict=True))
    config = Molmo2Config(
        text_config=DECODER | {"vocab_size": len(words), "additional_vocab_size": 0, "head_dim": 16},
        vision_config=ENCODER | heads | {"image_size": [64, 64], "patch_size": 16},
        adapter_config=heads
        | {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 128, "text_hidden_size": 64}
        | {"vision_feature_layer": [1, 0]},
        image_start_token_id=ids["<im_start>"],
        low_res_image_start_token_id=ids["<low_res_im_start>"],
        image_end_token_id=ids["<im_end>"],
        image_patch_id=ids["<im_patch>"],
        frame_start_token_id=ids["<frame_start>"],
        frame_end_token_id=ids["<frame_end>"],
    )
    return processor, config
