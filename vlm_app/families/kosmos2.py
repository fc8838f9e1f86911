"""KOSMOS-2 (Microsoft): captions, answers and phrases that are tied to boxes of patches.

Prompts are those of the model card of `microsoft/kosmos-2-patch14-224`. It writes
`<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object>`: the upper
left and the lower right cell of a grid of 32 × 32, several boxes joined by
`</delimiter_of_multi_objects/>`. A box reaches from cell centre to cell centre, and from
edge to edge where both cells lie in one row or column (`patch_index_to_coordinate` in
transformers).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.reading import Reader, asked_box, box, read_markup
from vlm_app.families.templated import token_ids
from vlm_app.grounding import bounds
from vlm_app.types import Box, Picture, Point, Region, Role, Seen, Task, Turn

_SIDE = 32
_END = "</s>"
_GROUNDING = "<grounding>"
_NEXT = "</delimiter_of_multi_objects/>"
_PROMPTS = {
    Task.CAPTION: f"{_GROUNDING}An image of",
    Task.GROUND: f"{_GROUNDING}<phrase> {{}}</phrase>",
    Task.DESCRIBE_REGION: f"{_GROUNDING}<phrase> It</phrase><object>{{}}</object> is",
}
_DETAILED = f"{_GROUNDING}Describe this image in detail:"
_QUESTION = f"{_GROUNDING} Question: {{}} Answer:"
_PATCH = r"<patch_index_\d{4}>"
_OBJECT = rf"<object>(?P<boxes>(?:{_PATCH}|{re.escape(_NEXT)}|\s)*)</object>"
_WHOLE = re.compile(rf"(?:<phrase>(?P<phrase>[^<]*)</phrase>\s*)?{_OBJECT}")
_OPENED = re.compile(
    rf"(?:<phrase>[^<]*(?:</phrase>\s*)?)?<object>(?:{_PATCH}|{re.escape(_NEXT)}|\s)*(?:<[^>]*)?\Z"
    r"|<phrase>[^<]*(?:</phrase>\s*(?:<[a-z]*)?|</?[a-z]*)?\Z"
)
_NEVER = re.compile("(?!)")
_TAGS: tuple[str, ...] = (
    "<phrase>",
    "</phrase>",
    "<object>",
    "</object>",
    _NEXT,
    _GROUNDING,
    "<image>",
    "</image>",
)
_TAGS += ("</doc>", "</chunk>", "</line>", "<s>", "<pad>", "<unk>")
_CONTROL = (*_TAGS, *(f"<patch_index_{n:04}>" for n in range(_SIDE * _SIDE)))
_MARK = "[\U000f0000\U000f0001]"  # what `templated.marked` puts into tokens
_BEFORE = re.compile(rf"\A{_MARK}?" + rf"{_MARK}?".join(f"{_GROUNDING}<phrase>"))
_AFTER = re.compile(rf"{_MARK}?".join("</phrase>") + rf"{_MARK}?\Z")


class Kosmos2(PromptedFamily):
    name = "kosmos2"
    title = "KOSMOS-2"
    native = "Kosmos2ForConditionalGeneration"
    model_types = frozenset({"kosmos-2"})
    max_images = 1
    last_message_only = True
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    convention = "cells of a 32 × 32 grid, counted by rows"
    grid = _SIDE
    phrases = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "vision_model",
        "connector": "image_to_text_projection",
        "language": "text_model",
    }
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION and "detail" in query.lower():
            return _DETAILED
        if task is Task.DESCRIBE_REGION:
            return _PROMPTS[task].format(_patches(asked_box(query)))
        if task is Task.GROUND and not query:
            raise BadInput(
                "The task 'ground' needs to know what to look for: give it a query, such as 'a dog'."
            )
        return _PROMPTS[task].format(query)

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        asked = next(turn.text for turn in reversed(turns) if turn.role is Role.USER)
        if task is Task.CHAT:
            return _QUESTION.format(asked.strip())
        if task is Task.GROUND:  # our own tags around what was typed
            typed = _AFTER.sub("", _BEFORE.sub("", asked)).strip()
            return _PROMPTS[task].format(typed)
        return re.sub(_MARK, "", asked)  # nothing of it was typed

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """As `Kosmos2Processor` does it, whose own call would read typed tags."""
        import torch

        tokenizer, count = processor.tokenizer, processor.num_image_tokens
        images = processor.image_processor([one.pixels for one in pictures], return_tensors="pt")
        first = tokenizer.unk_token_id + 1  # the places of an image, which stand for nothing else
        before = [tokenizer.bos_token_id, tokenizer.convert_tokens_to_ids("<image>")]
        after = token_ids(tokenizer, f"</image> {prompt.strip()}")
        input_ids = torch.tensor([[*before, *range(first, first + count), *after]])
        places = [0] * len(before) + [1] * count + [0] * len(after)
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "image_embeds_position_mask": torch.tensor([places]),
            "pixel_values": images["pixel_values"],
        }

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        tokens = int(inputs["image_embeds_position_mask"].sum())
        return Seen(size=(int(width), int(height)), visual_tokens=tokens, convention=self.convention)

    def grounded(
        self,
        before: str,
        words: str,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
    ) -> str | None:
        """The space before a phrase stands in its tag."""
        return super().grounded(
            before.removesuffix(" "), words, regions, image_size=image_size, input_size=input_size
        )

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        if any(isinstance(one.shape, Point) for one in regions):
            return super().write(regions, image_size=image_size, input_size=input_size, asked=asked)
        if asked is not None and asked[0] is Task.GROUND:  # the phrase ended the prompt
            return _object(regions)
        groups = itertools.groupby(regions, key=lambda one: one.label)
        return "".join(f"<phrase> {label}</phrase>{_object(list(group))}" for label, group in groups)

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
        query = asked[1].strip() if asked and asked[0] is Task.GROUND else ""

        def read(match: re.Match[str]) -> None:
            phrase = match["phrase"] or ""
            reader.prose(phrase[: len(phrase) - len(phrase.lstrip())])
            shapes = [_box(part) for part in match["boxes"].split(_NEXT)]
            reader.thing(phrase.strip() or query, *shapes)

        finished = _END in text
        return read_markup(
            text,
            reader,
            _WHOLE,
            read,
            opened=_NEVER if finished else _OPENED,
            control=_CONTROL,
            end=_END,
        )


def _box(text: str) -> Box | None:
    """The box of two cells, or None."""
    cells = [int(number) for number in re.findall(r"\d{4}", text)]
    if len(cells) != 2 or max(cells) >= _SIDE * _SIDE:
        return None
    x0, x1 = sorted(cell % _SIDE for cell in cells)
    y0, y1 = sorted(cell // _SIDE for cell in cells)
    if x0 == x1 or y0 == y1:
        return box((x0, y0, x1 + 1, y1 + 1), _SIDE, _SIDE)
    return box((x0 + 0.5, y0 + 0.5, x1 + 0.5, y1 + 0.5), _SIDE, _SIDE)


def _object(regions: Sequence[Region]) -> str:
    return f"<object>{_NEXT.join(_patches(bounds(one.shape)) for one in regions)}</object>"


def _patches(place: Box) -> str:
    """The two cells of a box, as `coordinate_to_patch_index` counts them."""
    x0, y0 = (min(int(value * _SIDE), _SIDE - 1) for value in (place.x0, place.y0))
    x1, y1 = max(x0, ceil(place.x1 * _SIDE - 1)), max(y0, ceil(place.y1 * _SIDE - 1))
    return f"<patch_index_{y0 * _SIDE + x0:04}><patch_index_{y1 * _SIDE + x1:04}>"


FAMILY = Kosmos2()
