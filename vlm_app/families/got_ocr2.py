"""GOT-OCR 2.0 (Wei et al., 2024): reads a page, or several pages as one document; it does not chat.

The prompts are those of its code (github.com/Ucas-HaoranWei/GOT-OCR2.0, GOT/demo), which
its processor in transformers writes too. Every page is squeezed to a square of 1024 pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.words import InWords
from vlm_app.types import Picture, Seen, Task, Turn

_SYSTEM = "system\nYou should follow the instructions carefully and explain your answers in detail."
_PAGES = "OCR with format across multi pages: "


class GotOcr2(InWords, PromptedFamily):
    name = "got_ocr2"
    title = "GOT-OCR 2.0"
    native = "GotOcr2ForConditionalGeneration"
    model_types = frozenset({"got_ocr2"})
    last_message_only = True
    prompts: ClassVar[Mapping[Task, str]] = {Task.OCR: "OCR: "}
    tasks = frozenset({Task.OCR})
    end = "<|im_end|>"
    control = ("<|im_start|>", "<|endoftext|>", "<img>", "</img>", "<imgpad>")
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        pages = sum(len(turn.pictures) for turn in turns)
        asked = _PAGES if pages > 1 else self.prompts[Task.OCR]
        return (
            f"<|im_start|>{_SYSTEM}<|im_end|><|im_start|>user\n<img><imgpad></img>\n"
            f"{asked}<|im_end|><|im_start|>assistant\n"
        )

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        pages = [picture.pixels for picture in pictures]
        several = len(pages) > 1
        return dict(
            processor(
                images=[pages] if several else pages, text=[prompt], multi_page=several, return_tensors="pt"
            )
        )

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        every = int((inputs["input_ids"] == processor.image_token_id).sum())
        return Seen(size=(int(width), int(height)), visual_tokens=every // len(pictures))


FAMILY = GotOcr2()
