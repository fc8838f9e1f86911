"""DeepSeek-VL (DeepSeek, 2024), 1.3B and 7B: chat in words over several images; no boxes.

The 7B model is another class (`DeepseekVLHybridForConditionalGeneration`) with a second
encoder at 1024 pixels, and speaks the same way: both encoders' features make up the same
tokens. Sources: the README of deepseek-ai/DeepSeek-VL, and transformers'
`DeepseekVLProcessor` and `DeepseekVLHybridProcessor`, which scale an image to 384 (and
1024) pixels and pad it to a square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Size
from vlm_app.families.words import READS, TemplatedInWords
from vlm_app.types import Picture, Seen, Task

_PIXELS = ("high_res_pixel_values", "pixel_values")  # what each encoder looks at, the larger one first


class DeepseekVL(TemplatedInWords):
    name = "deepseek_vl"
    title = "DeepSeek-VL"
    native = "DeepseekVLForConditionalGeneration"
    model_types = frozenset({"deepseek_vl", "deepseek_vl_hybrid"})
    tasks = frozenset({Task.CHAT, *READS})
    text_only = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_model",
        "vision at high resolution": "model.high_res_vision_model",  # of the 7B model only
        "connector": "model.aligner",
        "language": "model.language_model",
    }
    end = "<｜end▁of▁sentence｜>"
    control = ("<｜begin▁of▁sentence｜>", "<image_placeholder>", "<｜▁pad▁｜>")

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        sizes = [_size(inputs[name]) for name in _PIXELS if name in inputs]
        square = pictures[-1].size[0] == pictures[-1].size[1]
        notes = [] if square else ["The image was padded to a square."]
        notes += [f"It was seen at {width} × {height} as well." for width, height in sizes[1:]]
        return Seen(size=sizes[0], visual_tokens=processor.num_image_tokens, note=" ".join(notes))


def _size(pixels: Any) -> Size:
    height, width = pixels.shape[-2:]
    return (width, height)


FAMILY = DeepseekVL()
