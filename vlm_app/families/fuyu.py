"""Fuyu-8B (Adept): chat about one image of any size, whose patches go straight into the decoder.

Prompts are those of the model card of `adept/fuyu-8b` and transformers' docs; each ends with
a new line. It knows boxes as well (`<box>y1, x1, y2, x2</box>`, y first), but writes their
numbers as bare tokens at half resolution, with nothing between them that would survive in a
text: so no task for boxes is offered here, and only boxes that a server has put into its
post-processed form, in pixels of the image, are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.reading import Reader, box, numbers, read_markup
from vlm_app.types import Picture, Role, Seen, Task, Turn

_ANSWER = "<0x04>"  # where an answer begins
_NUMBER = r"\d{1,5}"
_BOX = re.compile(rf"\s{{0,4}}<box>(\s?{_NUMBER}(?:\s?,\s?{_NUMBER}){{3}}\s?)</box>")
_OPENED = re.compile(r"\s{0,4}<(?:b(?:o(?:x(?:>[\d\s,]*(?:</?b?o?x?)?)?)?)?)?\Z")
_NEVER = re.compile("(?!)")
_CONTROL = ("|SPEAKER|", "|NEWLINE|", "<s>", "</s>", "<unk>", "<pad>", *(f"<0x0{n}>" for n in range(8)))


class Fuyu(PromptedFamily):
    name = "fuyu"
    title = "Fuyu"
    native = "FuyuForCausalLM"
    model_types = frozenset({"fuyu"})
    servers = ("vLLM",)
    max_images = 1
    last_message_only = True
    tasks = frozenset({Task.CHAT, Task.CAPTION})
    lora_towers: ClassVar[Mapping[str, str]] = {
        "connector": "model.vision_embed_tokens",
        "language": "model.language_model",
    }
    end = "</s>"

    def prompt(self, task: Task, query: str) -> str:
        return "Generate a coco-style caption."

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        return next(turn.text for turn in reversed(turns) if turn.role is Role.USER).rstrip("\n") + "\n"

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """As `FuyuProcessor` does it, which reads places out of what was typed, and raises on odd ones."""
        import torch

        tokenizer = processor.tokenizer
        reader = processor.image_processor
        made = reader([pictures[-1].pixels], return_tensors="pt")
        side = reader.patch_size["height"]
        height, width = (int(made[f"image_unpadded_{name}"][0][0]) for name in ("heights", "widths"))
        rows, columns = -(-height // side), -(-width // side)
        image = made["images"][0][..., : rows * side, : columns * side]
        patches = reader.patchify_image(image=image.reshape(1, *image.shape[-3:])).squeeze(0)
        row = [processor.image_token_id] * columns + [processor.image_newline_id]
        words = tokenizer(prompt, add_special_tokens=False, sanitize_control_tokens=True)["input_ids"]
        ids = [*row * rows, tokenizer.convert_tokens_to_ids("<s>"), *words]
        input_ids = torch.tensor([[*ids, tokenizer.convert_tokens_to_ids(_ANSWER)]])
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "pixel_values": patches,
            "size": (columns * side, rows * side),
        }

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        return Seen(size=inputs.pop("size"), visual_tokens=int(inputs["pixel_values"].shape[0]))

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        reader = Reader(max(len(images) - 1, 0))

        def read(match: re.Match[str]) -> None:
            y0, x0, y1, x1 = numbers(match[1])
            reader.behind(reader.out.rpartition("\n")[2], box((x0, y0, x1, y1), *image_size))

        opened = _NEVER if self.end in text else _OPENED
        return read_markup(text, reader, _BOX, read, opened=opened, control=_CONTROL, end=self.end)


FAMILY = Fuyu()
