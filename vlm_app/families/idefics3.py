"""Idefics3 (Hugging Face, 2024): SigLIP, Llama 3.1; tiles of 364 pixels and a small copy of the whole.

SmolVLM's older sibling with its own processor class. Chat in words; no boxes are documented.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_app.families.smolvlm import Tiled
from vlm_app.types import Picture


class Idefics3(Tiled):
    name = "idefics3"
    title = "Idefics3"
    native = "Idefics3ForConditionalGeneration"
    model_types = frozenset({"idefics3"})
    servers = ("vLLM",)

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """The processor's own steps: its `__call__` wants offsets that sanitized text has not."""
        images: dict[str, Any] = {}
        text, *rest = prompt.split(processor.image_token)
        if pictures:
            images = dict(
                processor.image_processor(
                    [[picture.pixels for picture in pictures]],
                    return_row_col_info=True,
                    return_tensors="pt",
                    **options,
                )
            )
        for index, piece in enumerate(rest):
            text += processor.replace_image_token(images, index) + piece
        tokens = processor.tokenizer(
            [text], add_special_tokens=False, sanitize_control_tokens=True, return_tensors="pt"
        )
        kept = {name: value for name, value in images.items() if name not in ("rows", "cols")}
        return {**tokens, **kept}


FAMILY = Idefics3()
