"""LLaVA-1.6, or LLaVA-NeXT: a small copy of the image and up to four tiles of 336 pixels.

The templates differ by backbone: `[INST] … [/INST]` for Mistral, ChatML for Nous Hermes 34B
(the checkpoints llava-hf/llava-v1.6-mistral-7b-hf and llava-v1.6-34b-hf bring theirs).
Chat in words; no boxes are documented.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.words import READS, TemplatedInWords, last_run
from vlm_app.types import Picture, Role, Seen, Task, Turn

_CHATML_END = "<|im_end|>"


class LlavaNext(TemplatedInWords):
    name = "llava_next"
    title = "LLaVA-1.6"
    native = "LlavaNextForConditionalGeneration"
    model_types = frozenset({"llava_next"})
    servers = ("vLLM", "llama.cpp", "Ollama")
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "</s>"
    control = (
        *("<s>", "<image>", "<pad>", "<unk>", "<|startoftext|>", "<|endoftext|>", "<|im_start|>"),
        _CHATML_END,  # half written it must not show
    )
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def open(self, text: str) -> str:
        """Hermes ends with ChatML's token, Mistral with its own."""
        return super().open(text).partition(_CHATML_END)[0]

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        return tiled(processor, pictures, inputs)

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        return super().parse(text.replace(_CHATML_END, self.end), image_size=image_size)

    def _answer_ids(
        self, processor: Any, turns: Sequence[Turn], prompt: str, text: str, *, closed: bool
    ) -> list[int]:
        from vlm_app.families.templated import token_ids

        if _CHATML_END not in processor.tokenizer.added_tokens_encoder:
            return super()._answer_ids(processor, turns, prompt, text, closed=closed)
        body = self.open(text).lstrip()
        tail = body[len(body.rstrip()) :]
        safe = self._marked(processor, body, Role.ASSISTANT)
        return token_ids(processor.tokenizer, safe + (_CHATML_END if closed else tail))


def tiled(processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
    """What is seen by tiles: the canvas of `image_grid_pinpoints` that fits the last image best."""
    from transformers.image_processing_utils import select_best_resolution

    width, height = pictures[-1].size
    tile = int(inputs["pixel_values"].shape[-1])
    rows, columns = (
        side // tile
        for side in select_best_resolution((height, width), processor.image_processor.image_grid_pinpoints)
    )
    scale = min(columns * tile / width, rows * tile / height)  # the rest of the canvas is padding
    return Seen(
        size=(round(width * scale), round(height * scale)),
        tiles=rows * columns + 1,  # and a small copy of the whole
        visual_tokens=last_run(inputs, processor.image_token_id),
    )


FAMILY = LlavaNext()
