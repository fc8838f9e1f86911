"""Qwen-VL and Qwen-VL-Chat (2023): phrases and boxes between tags, on a grid of 1000.

From the repository QwenLM/Qwen-VL: `<ref>phrase</ref><box>(x1,y1),(x2,y2)</box>`, asked
with 'Generate the caption in English with grounding:', or, in the chat, with
'框出图中…的位置' (frame the place of … in the picture). It has no class in transformers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import read_objects, teller
from vlm_app.families.qwen import PhraseTokens, needs_query, shape_in
from vlm_app.families.reading import Reader
from vlm_app.families.served import ServedFamily
from vlm_app.types import Region, Task

_GRID = 1000
_TAGS = PhraseTokens("<ref>", "<box>", "<quad>")
_WHOLE, _OPENED = re.compile(_TAGS.whole), re.compile(_TAGS.opened)
_NAMES = ("ref", "box", "quad", "img")
_CONTROL = ("<|im_start|>", "<|im_end|>", *(f"<{slash}{name}>" for name in _NAMES for slash in ("", "/")))


class QwenVL(ServedFamily):
    name = "qwen_vl"
    title = "Qwen-VL"
    servers = ("vLLM",)
    text_only = True
    tasks = frozenset({Task.CHAT, Task.CAPTION, Task.GROUND})
    convention = "0–1000 of the image, x first, between tags"
    grid = _GRID
    phrases = True
    end = "<|endoftext|>"

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION:
            return "Generate the caption in English with grounding:"
        return f"框出图中{needs_query(task, query)}的位置"

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return _TAGS.write(regions, (_GRID, _GRID))

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
            whole=_WHOLE,
            read=_TAGS.reading(reader, shape, asked[1] if asked else ""),
            opened=_OPENED,
            control=_CONTROL,
            end=self.end,
        )


FAMILY = QwenVL()
