"""DeepSeek-VL2 (DeepSeek, 2024): chat over several images, reading, boxes; it runs on a server.

An object is asked about as `<|ref|>The giraffe at the back.<|/ref|>.` and answered with
`<|ref|>…<|/ref|><|det|>[[580, 270, 999, 900]]<|/det|>`; `<|grounding|>` before a question
asks for an answer with places. A side is 999 units. Sources: the README and
`deepseek_vl2/serve/app_modules/utils.py` of deepseek-ai/DeepSeek-VL2. That several
objects may be asked about at once is our reading: the samples show one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader
from vlm_app.families.served import ServedFamily
from vlm_app.families.tagged import Tags, labelled_boxes, read_tagged
from vlm_app.families.words import READS
from vlm_app.types import Region, Task

TAGS = Tags(("<|ref|>", "<|/ref|>"), (("<|det|>", "<|/det|>"),))
OTHER = ("<|grounding|>", "<|User|>", "<|Assistant|>", "<image>", "<｜begin▁of▁sentence｜>", "<｜▁pad▁｜>")
SIDE = 999
_PLACED = frozenset({Task.GROUND, Task.DETECT, Task.COUNT})


class DeepseekVL2(ServedFamily):
    name = "deepseek_vl2"
    title = "DeepSeek-VL2"
    model_types = frozenset({"deepseek_vl_v2"})
    servers = ("vLLM", "SGLang")
    tasks = frozenset({Task.CHAT, *READS, *_PLACED})
    text_only = True
    end = "<｜end▁of▁sentence｜>"
    convention = "0–999 of the image, x first"
    grid = SIDE
    phrases = True

    def prompt(self, task: Task, query: str) -> str:
        if task not in _PLACED:
            return READS[task]
        query = TAGS.plain(query)
        if not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'dog'."
            )
        wanted = [query] if task is Task.GROUND else re.split("[,;]", query)
        return ", ".join(f"<|ref|>{one.strip()}<|/ref|>" for one in wanted if one.strip()) + "."

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        query = asked[1] if asked else ""
        reader = Reader(max(len(images) - 1, 0))
        return read_tagged(text, reader, TAGS, SIDE, query=query, control=OTHER, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        found = labelled_boxes(self, regions, SIDE)
        return "\n".join(f"<|ref|>{label}<|/ref|><|det|>{boxes}<|/det|>" for label, boxes in found)


FAMILY = DeepseekVL2()
