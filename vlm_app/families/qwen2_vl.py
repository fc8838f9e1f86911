"""Qwen2-VL: chat about images and videos, and boxes between tokens on a grid of 1000.

Its card shows no grounding. The tokens and the scale are what the model writes by its
users' reports (QwenLM/Qwen3-VL, discussion of issues 9, 189 and 342): a phrase between
`<|object_ref_start|>` and `<|object_ref_end|>`, then `<|box_start|>(x1,y1),(x2,y2)<|box_end|>`;
a single pair is a point. A question that starts with 'Find' brings it to do so (issue 342).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import read_objects, teller
from vlm_app.families.qwen import CONTROL, TOKENS, QwenFamily, needs_query, shape_in
from vlm_app.families.reading import Reader
from vlm_app.types import Region, Task

_GRID = 1000


class Qwen2VL(QwenFamily):
    name = "qwen2_vl"
    title = "Qwen2-VL"
    native = "Qwen2VLForConditionalGeneration"
    model_types = frozenset({"qwen2_vl"})
    servers = ("vLLM", "SGLang", "llama.cpp")
    tasks = frozenset({Task.CHAT, Task.CAPTION, Task.OCR, Task.GROUND, Task.COUNT})
    convention = "0–1000 of the image, x first, between tokens"
    grid = _GRID

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION:
            return "Describe this image."  # the card's example
        if task is Task.OCR:
            return "Read all the text in the image."
        return f"Find the {needs_query(task, query)}."

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return TOKENS.write(regions, (_GRID, _GRID))

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
        shape = shape_in(_GRID, _GRID)
        return read_objects(
            text,
            reader,
            teller(reader, shape, asked),
            whole=re.compile(TOKENS.whole),
            read=TOKENS.reading(reader, shape, asked[1] if asked else ""),
            opened=re.compile(TOKENS.opened),
            control=CONTROL,
            end=self.end,
        )


FAMILY = Qwen2VL()
