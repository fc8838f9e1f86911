"""Pixtral-12B and Mistral Small 3.1/3.2 (Mistral AI): images in their own shape, up to 1024 or 1540 pixels.

Both write `[IMG]` for a patch (or 2 × 2 of them), `[IMG_BREAK]` behind a row, `[IMG_END]` at
the end. Pixtral's conversion is LLaVA's class with Pixtral's encoder, so its `model_type` is
`llava`; a catalog row names this family. Chat in words; no boxes are documented.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.words import READS, TemplatedInWords
from vlm_app.types import Picture, Seen, Task


class Pixtral(TemplatedInWords):
    name = "pixtral"
    title = "Pixtral"
    native = "LlavaForConditionalGeneration"
    model_types = frozenset({"llava", "mistral3"})  # LLaVA's with a Pixtral vision part
    servers = ("vLLM", "llama.cpp")
    pixel_budget = True
    text_only = True
    plain_system = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "</s>"
    control = ("<s>", "<pad>", "<unk>", "[INST]", "[/INST]", "[IMG]", "[IMG_BREAK]", "[IMG_END]")
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """The longest side of a square of so many pixels, of a patch at least."""
        if pixels is None:
            return {}
        most = int(processor.image_processor.size["longest_edge"])
        least = processor.patch_size * processor.spatial_merge_size
        return {"size": {"longest_edge": min(max(math.isqrt(pixels), least), most)}}

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        height, width = (int(side) for side in inputs["image_sizes"][-1])
        patch = processor.patch_size * processor.spatial_merge_size
        return Seen(size=(width, height), visual_tokens=(height // patch) * (width // patch))


FAMILY = Pixtral()
