"""LFM2-VL and LFM2.5-VL (Liquid AI): SigLIP 2 in an image's own shape, tiles of 512 pixels for large ones.

Chat in words; LFM2.5-VL's template is the one that TRL ships. No boxes are verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.words import READS, TemplatedInWords
from vlm_app.types import Picture, Seen, Task


class Lfm2VL(TemplatedInWords):
    name = "lfm2_vl"
    title = "LFM2-VL"
    native = "Lfm2VlForConditionalGeneration"
    model_types = frozenset({"lfm2_vl"})
    servers = ("vLLM", "llama.cpp")
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "<|im_end|>"
    control = (
        "<|startoftext|>",
        "<|endoftext|>",
        "<|im_start|>",
        "<|pad|>",
        "<image>",
        "<|image_start|>",
        "<|image_end|>",
        "<|img_thumbnail|>",
    )
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        """Counted between the last image's start and end; its tiles stand in the text as rows and columns."""
        tokenizer = processor.tokenizer
        ids = inputs["input_ids"][0].tolist()
        start = len(ids) - 1 - ids[::-1].index(tokenizer.convert_tokens_to_ids(processor.image_start_token))
        end = ids.index(tokenizer.convert_tokens_to_ids(processor.image_end_token), start)
        words = tokenizer.convert_ids_to_tokens(ids[start:end])
        places = [word for word in words if word.startswith("<|img_row_")]
        tile = int(processor.image_processor.tile_size)
        patch = int(processor.image_processor.encoder_patch_size)
        height, width = (int(side) * patch for side in inputs["spatial_shapes"][-1])
        if places:
            rows, columns = (int(part) for part in places[-1].strip("<|>").split("_")[2::2])
            height, width = rows * tile, columns * tile
        return Seen(
            size=(width, height),
            tiles=len(places) + (processor.image_thumbnail_token in words) or 1,
            visual_tokens=words.count(processor.image_token),
        )


FAMILY = Lfm2VL()
