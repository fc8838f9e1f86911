"""DeepSeek-VL (DeepSeek, 2024), 1.3B and 7B: chat in words over several images; no boxes.

The 7B model is another class (`deepseek_vl_hybrid`) with a second encoder at 1024 pixels,
and speaks the same way. Sources: the README of deepseek-ai/DeepSeek-VL, and transformers'
`DeepseekVLProcessor`, which scales an image to 384 pixels and pads it to a square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.words import READS, TemplatedInWords
from vlm_app.types import Picture, Seen, Task


class DeepseekVL(TemplatedInWords):
    name = "deepseek_vl"
    title = "DeepSeek-VL"
    native = "DeepseekVLForConditionalGeneration"
    model_types = frozenset({"deepseek_vl", "deepseek_vl_hybrid"})
    tasks = frozenset({Task.CHAT, *READS})
    text_only = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_model",
        "connector": "model.aligner",
        "language": "model.language_model",
    }
    end = "<｜end▁of▁sentence｜>"
    control = ("<｜begin▁of▁sentence｜>", "<image_placeholder>", "<｜▁pad▁｜>")

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        pixels = inputs.get("high_res_pixel_values", inputs["pixel_values"])
        height, width = pixels.shape[-2:]
        square = pictures[-1].size[0] == pictures[-1].size[1]
        return Seen(
            size=(width, height),
            visual_tokens=processor.num_image_tokens,
            note="" if square else "The image was padded to a square.",
        )


FAMILY = DeepseekVL()
