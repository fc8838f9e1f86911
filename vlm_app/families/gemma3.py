"""Gemma 3 (Google, 2025; 4B and larger): SigLIP at 896 pixels, 256 tokens an image; chat in words.

The image is squeezed to a square. The card documents questions about images, captions and
reading in 140 languages, and no boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.words import READS, TemplatedInWords, last_run
from vlm_app.types import Picture, Seen, Task


class Gemma3(TemplatedInWords):
    name = "gemma3"
    title = "Gemma 3"
    native = "Gemma3ForConditionalGeneration"
    model_types = frozenset({"gemma3"})
    servers = ("vLLM", "llama.cpp", "Ollama")
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "<end_of_turn>"
    control = (
        "<bos>",
        "<eos>",
        "<pad>",
        "<unk>",
        "<start_of_turn>",
        "<start_of_image>",
        "<end_of_image>",
        "<image_soft_token>",
    )
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        return Seen(
            size=(int(width), int(height)),
            visual_tokens=last_run(inputs, processor.tokenizer.image_token_id),
        )


FAMILY = Gemma3()
