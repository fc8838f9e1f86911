"""Llama 3.2 Vision (Meta, 2024): up to four tiles of 560 pixels, read by cross-attention.

The prompt holds one `<|image|>` an image. Its template takes no system prompt beside
images, so that goes before the first question instead, as Meta advises. Chat in words; no
boxes are documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.words import READS, TemplatedInWords
from vlm_app.types import Picture, Role, Seen, Task, Turn

_PATCH = 14  # pixels; the processor does not say it


class Mllama(TemplatedInWords):
    name = "mllama"
    title = "Llama 3.2 Vision"
    native = "MllamaForConditionalGeneration"
    model_types = frozenset({"mllama"})
    servers = ("vLLM", "Ollama")
    text_only = True
    plain_system = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "<|eot_id|>"
    control = (
        "<|begin_of_text|>",
        "<|end_of_text|>",
        "<|eom_id|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
        "<|python_tag|>",
        "<|image|>",
        "<|finetune_right_pad_id|>",
    )
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_model",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        return super().encode(processor, _system_in_question(turns), task=task, pixels=pixels, answer=answer)

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        from transformers.models.mllama.image_processing_mllama import get_all_supported_aspect_ratios

        tile = int(inputs["pixel_values"].shape[-1])
        shapes = get_all_supported_aspect_ratios(processor.image_processor.max_image_tiles)
        rows, columns = shapes[int(inputs["aspect_ratio_ids"][0, len(pictures) - 1]) - 1]
        return Seen(
            size=(columns * tile, rows * tile),
            tiles=rows * columns,
            visual_tokens=rows * columns * ((tile // _PATCH) ** 2 + 1),
            note="Size with the padding that fills its tiles.",
        )


def _system_in_question(turns: Sequence[Turn]) -> list[Turn]:
    """The turns, with the system prompt before the first question's text where there are images."""
    turns = list(turns)
    if turns[0].role is not Role.SYSTEM or not any(turn.pictures for turn in turns):
        return turns
    said = turns[0].text
    for index, turn in enumerate(turns):
        if turn.role is Role.USER:
            turns[index] = Turn(Role.USER, (*turn.pictures, said, turn.text))
            break
    return turns[1:]


FAMILY = Mllama()
