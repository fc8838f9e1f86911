"""PaliGemma 1 and 2 (Google): one instruction about one image, answered in words or location tokens.

The instructions (`caption en`, `ocr`, `detect cat ; dog`, `segment cat`) are those of
ai.google.dev/gemma/docs/paligemma/prompt-system-instructions; the mix checkpoints answer free
questions as well (README of big_vision's paligemma). It writes `<loc0000><loc0000><loc1022>
<loc1022> cat`: y first, of 1023 on a side of the image, which it sees squeezed to a square.

`segment` adds sixteen `<seg…>` codes, which a VQ-VAE decoder turns into a mask of the box. Its
weights are not part of any checkpoint: without them the box is drawn, and the user is told.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.reading import Reader, box, read_markup, scaled
from vlm_app.families.templated import append, token_ids
from vlm_app.grounding import bounds
from vlm_app.types import Picture, Point, Region, Role, Seen, Shape, Task, Turn

NO_MASK = "PaliGemma's mask decoder is not installed: the box of each mask is drawn instead."
_LAST = 1023
_END = "<eos>"
_PROMPTS = {
    Task.CAPTION: "caption en",
    Task.DETECT: "detect {}",
    Task.COUNT: "detect {}",
    Task.SEGMENT: "segment {}",
    Task.OCR: "ocr",
}
_LOC, _SEG = r"<loc\d{4}>", r"<seg\d{3}>"
_PLACES = rf"((?:{_LOC}){{4}})((?:{_SEG})*)"
_UNFINISHED = re.compile(rf"(?:{_LOC}){{1,4}}(?:{_SEG})*[^;<\n]*(?:<[a-z0-9]*)?\Z|<(?:[ls][a-z]*\d*)?\Z")
_NEVER = re.compile("(?!)")
_CONTROL: tuple[str, ...] = ("<pad>", "<bos>", "<unk>", "<mask>", "<image>")
_CONTROL += tuple(f"<loc{n:04}>" for n in range(1024)) + tuple(f"<seg{n:03}>" for n in range(128))


class PaliGemma(PromptedFamily):
    name = "paligemma"
    title = "PaliGemma"
    native = "PaliGemmaForConditionalGeneration"
    model_types = frozenset({"paligemma"})
    servers = ("vLLM",)
    max_images = 1
    last_message_only = True
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    convention = "0–1023 of the squeezed square, y first"
    grid = _LAST + 1
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        classes = _classes(query)
        if "{}" in _PROMPTS[task] and not classes:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'cat'."
            )
        return _PROMPTS[task].format(" ; ".join(classes))

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        inputs, seen = super().encode(processor, turns, task=task, pixels=pixels, answer=answer)
        return inputs, replace(seen, note=NO_MASK) if task is Task.SEGMENT else seen

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        return next(turn.text for turn in reversed(turns) if turn.role is Role.USER)

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """As `PaliGemmaProcessor` does it, which would take a typed `<image>` for one of its own."""
        import torch

        tokenizer = processor.tokenizer
        images = processor.image_processor([one.pixels for one in pictures], return_tensors="pt")
        ids = [processor.image_token_id] * (processor.image_seq_length * len(pictures))
        ids += [tokenizer.bos_token_id, *token_ids(tokenizer, f"{prompt}\n")]
        input_ids = torch.tensor([ids])
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "token_type_ids": torch.zeros_like(input_ids),  # 0: every token of it sees all others
            "pixel_values": images["pixel_values"],
        }

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        tokens = int(processor.image_seq_length)
        return Seen(size=(int(width), int(height)), visual_tokens=tokens, convention=self.convention)

    def append_answer(self, processor: Any, inputs: dict[str, Any], text: str, *, labelled: bool) -> None:
        prompt = inputs["input_ids"].shape[1]
        append(inputs, token_ids(processor.tokenizer, text), labelled=labelled)
        inputs["token_type_ids"][:, prompt:] = 1  # an answer is read from left to right

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        masks = asked is not None and asked[0] is Task.SEGMENT  # nothing here makes their codes
        if masks or any(isinstance(one.shape, Point) for one in regions):
            return super().write(regions, image_size=image_size, input_size=input_size, asked=asked)
        return " ; ".join(_written(one) for one in regions)

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
        query = asked[1].strip() if asked and asked[0] is not Task.CHAT else ""

        def read(match: re.Match[str]) -> None:
            y0, x0, y1, x1 = (int(number) for number in re.findall(r"\d{4}", match[1]))
            shape = _shape((x0, y0, x1, y1), match[2])
            reader.thing(match["label"].strip() or query, shape)

        finished = _END in text
        return read_markup(
            text,
            reader,
            _whole(_classes(query), finished),
            read,
            opened=_NEVER if finished else _UNFINISHED,
            control=_CONTROL,
            end=_END,
        )


def _classes(query: str) -> list[str]:
    return [part.strip() for part in re.split("[,;]", query) if part.strip()]


def _whole(asked: Sequence[str], finished: bool) -> re.Pattern[str]:
    """An object: its places, and a label that ends at `;`, a new line, the next token or the answer.

    A label that was asked for ends with itself: nothing needs to follow it.
    """
    clear = [one for one in asked if not any(other.startswith(one) for other in asked if other != one)]
    known = "".join(f"{re.escape(one)}|" for one in clear)
    until = rf"(?=[;\n]|{_LOC}|\Z)" if finished else rf"(?=[;\n]|{_LOC})"
    return re.compile(rf"{_PLACES} *(?P<label>{known}[^;<\n]*{until})(?:\s*;)?")


def _shape(places: Sequence[float], codes: str) -> Shape | None:
    """The shape of an object. `codes` are the sixteen of its mask: a decoder would be asked here."""
    return box(places, _LAST, _LAST)


def _written(region: Region) -> str:
    x0, y0, x1, y1 = scaled(bounds(region.shape).xyxy, _LAST, _LAST)
    return "".join(f"<loc{value:04}>" for value in (y0, x0, y1, x1)) + f" {region.label}"


FAMILY = PaliGemma()
