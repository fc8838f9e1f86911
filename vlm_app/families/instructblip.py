"""InstructBLIP (Dai et al., 2023): BLIP-2 whose Q-Former reads the instruction too; Vicuna or Flan-T5.

The instruction is the whole prompt. The templates of the paper's appendix give the caption
(`Write a short description for the image.`) and the form for a dialogue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.blip2 import QFormerFamily, framed, remarked
from vlm_app.types import Picture, Role, Task, Turn


class InstructBlip(QFormerFamily):
    name = "instructblip"
    title = "InstructBLIP"
    native = "InstructBlipForConditionalGeneration"
    model_types = frozenset({"instructblip"})
    prompts: ClassVar[Mapping[Task, str]] = {Task.CAPTION: "Write a short description for the image."}
    tasks = frozenset({Task.CHAT, Task.CAPTION})

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        *before, last = [turn.text.strip() for turn in turns if turn.role is not Role.SYSTEM]
        if not before:
            return last
        said = " ".join(text.removesuffix(self.end) for text in before)
        return f"Dialog history: {said}\nQuestion: {last} Short answer:"

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        import torch

        inputs = super().process(processor, prompt, pictures, options)
        reader = processor.qformer_tokenizer
        ids = torch.tensor([framed(reader, remarked(reader, prompt))])
        return inputs | {"qformer_input_ids": ids, "qformer_attention_mask": torch.ones_like(ids)}


FAMILY = InstructBlip()
