"""SmolVLM2 (Hugging Face TB): chat, captions and reading, in words.

Its card documents visual questions, captions, transcribed text and several images mixed
with text, and no boxes. Large images are cut into tiles, with a small copy of the whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import alone, clips
from vlm_app.families.templated import TemplatedFamily
from vlm_app.families.words import InWords
from vlm_app.types import Clip, Picture, Seen, Task, Turn

_PROMPTS = {
    Task.CAPTION: "Can you describe this image?",  # the card's example
    Task.OCR: "Transcribe the text in this image.",
}


class Tiled(InWords, TemplatedFamily):
    """What SmolVLM and Idefics3 share."""

    pixel_budget = True
    prompts = _PROMPTS
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    text_only = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_model",
        "connector": "model.connector",
        "language": "model.text_model",
    }
    end = "<end_of_utterance>"
    control = (
        "<|im_start|>",
        "<|im_end|>",
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|endoftext|>",
        "<fake_token_around_image>",
        "<global-img>",
        "<image>",
        *(f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7)),
    )

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """The longest side, in whole tiles, of a square of so many pixels."""
        if pixels is None:
            return {}
        tile = _longest(processor.image_processor.max_image_size)
        most = _longest(processor.image_processor.size)
        side = max(1, int(math.sqrt(pixels)) // tile) * tile
        return {"size": {"longest_edge": min(side, most)}}

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        if not pictures:
            return Seen()
        reader = processor.image_processor
        tile = _longest(reader.max_image_size)
        width, height = pictures[-1].size
        tiles, rows, columns = reader.get_number_of_image_patches(height, width, dict(options))
        tiles = max(tiles, 1)
        return Seen(
            size=(max(columns, 1) * tile, max(rows, 1) * tile),
            tiles=tiles,
            visual_tokens=tiles * processor.image_seq_len,
        )


class SmolVLM(Tiled):
    name = "smolvlm"
    title = "SmolVLM2"
    video = True
    native_video = True
    native = "SmolVLMForConditionalGeneration"
    model_types = frozenset({"smolvlm"})
    servers = ("vLLM", "llama.cpp")

    def takes(self, turns: Sequence[Turn]) -> bool:
        """One clip and nothing else: the processor has one place for the pixels of images and videos."""
        return super().takes(turns) and alone(turns) and len(clips(turns)) == 1

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        tokens = len(clip.frames) * int(processor.image_seq_len)
        return Seen(size=(int(width), int(height)), visual_tokens=tokens)


def _longest(size: Any) -> int:
    """`longest_edge` of a size, which is a dict or an object, depending on the version."""
    return int(size["longest_edge"])


FAMILY = SmolVLM()
