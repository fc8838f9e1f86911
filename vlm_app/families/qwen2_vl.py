"""Qwen2-VL: chat about images and videos, and boxes between tokens on a grid of 1000.

Its card shows no grounding. The tokens and the scale are what the model writes by its
users' reports (QwenLM/Qwen3-VL, discussion of issues 9, 189 and 342): a phrase between
`<|object_ref_start|>` and `<|object_ref_end|>`, then `<|box_start|>(x1,y1),(x2,y2)<|box_end|>`;
a single pair is a point. A question that starts with 'Find' brings it to do so (issue 342).
A server that drops special tokens leaves `phrase(x1,y1),(x2,y2)`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import read_objects, teller
from vlm_app.families.qwen import CONTROL, TOKENS, QwenFamily, needs_query, shape_in
from vlm_app.families.reading import Reader, numbers
from vlm_app.types import Region, Task

_GRID = 1000
_PAIR = r"\(\d{1,4},\s?\d{1,4}\)"
_BARE = rf"(?<!_start\|>)(?<!_start\|>\s)(?<!\),)\s?(?P<bare>{_PAIR},\s?{_PAIR})"  # not between tokens
_OPEN_BARE = r"\s?\((?:\d[\d\s,]{0,12}(?:\)\s?(?:,[\d\s,(]{0,16})?)?)?\Z"


class Qwen2VL(QwenFamily):
    name = "qwen2_vl"
    title = "Qwen2-VL"
    native = "Qwen2VLForConditionalGeneration"
    model_types = frozenset({"qwen2_vl"})
    servers = ("vLLM", "SGLang", "llama.cpp")
    tasks = frozenset({Task.CHAT, Task.CAPTION, Task.OCR, Task.GROUND, Task.COUNT})
    convention = "0–1000 of the image, x first, between tokens"
    grid = _GRID
    phrases = True

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
        task, query = asked or (Task.CHAT, "")
        tagged = TOKENS.reading(reader, shape, query)
        placed = task in (Task.GROUND, Task.COUNT)

        def read(match: re.Match[str]) -> None:
            if not (alone := match.groupdict().get("bare")):
                tagged(match)
                return
            words = reader.out.rpartition("\n")[2].strip()
            (reader.behind if words else reader.thing)(words or query, shape(numbers(alone)))

        return read_objects(
            text,
            reader,
            teller(reader, shape, asked),
            whole=re.compile(f"{TOKENS.whole}|{_BARE}" if placed else TOKENS.whole),
            read=read,
            opened=re.compile(f"{TOKENS.opened}|{_OPEN_BARE}" if placed else TOKENS.opened),
            control=CONTROL,
            end=self.end,
        )


FAMILY = Qwen2VL()
