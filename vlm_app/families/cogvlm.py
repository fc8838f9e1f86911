"""CogVLM and CogAgent (Zhipu AI, Tsinghua): answers with boxes behind the words that they belong to.

The grounding checkpoint writes `A piggy bank [[302,198,694,857]] with a smile [[400,520,582,643]]`,
three digits of a thousandth of a side each, `;` between several boxes of one phrase. CogAgent's
actions name one element: `CLICK(box=[[219,186,311,207]], element_info='…')`. Prompts are those of
the README of THUDM/CogVLM, and of its utils/utils/template.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.phrased import read_phrased
from vlm_app.families.reading import Reader, asked_box, box, scaled
from vlm_app.families.served import ServedFamily
from vlm_app.grounding import bounds
from vlm_app.types import Box, Point, Region, Task

_BINS = 1000
_END = "</s>"
_PROMPTS = {
    Task.CAPTION: "Can you provide a description of the image and include the coordinates [[x0,y0,x1,y1]] "
    "for each mentioned object?",
    Task.GROUND: "Where is {}? answer in [[x0,y0,x1,y1]] format.",
    Task.DESCRIBE_REGION: "Tell me what you see within the designated area [[{}]] in the picture.",
}
_FOUR = r"\d{1,4}(?:\s?,\s?\d{1,4}){3}"
_BOXES = re.compile(rf"\s{{0,4}}\[\[\s?({_FOUR}(?:\s?;\s?{_FOUR})*)\s?\]\]")
_OPENED = re.compile(r"\s{0,4}\[(?:\[[\d\s,;]*\]?)?\Z")


class CogVLM(ServedFamily):
    name = "cogvlm"
    title = "CogVLM"
    max_images = 1
    text_only = True
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    convention = "000–999 of 1000 on a side, x first"
    grid = _BINS
    phrases = True
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.DESCRIBE_REGION:
            return _PROMPTS[task].format(_numbers(asked_box(query)))
        if "{}" in _PROMPTS[task] and not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'a dog'."
            )
        return _PROMPTS[task].format(query)

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
        if asked is not None and asked[0] is Task.GROUND:
            return f"[[{';'.join(_numbers(bounds(one.shape)) for one in regions)}]]"
        return ", ".join(f"{one.label} [[{_numbers(bounds(one.shape))}]]" for one in regions)

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

        def place(values: Sequence[float]) -> Box | None:
            return box(values, _BINS, _BINS)

        return read_phrased(text, reader, _BOXES, place, opened=_OPENED, asked=asked, end=_END)


def _numbers(place: Box) -> str:
    return ",".join(f"{value:03}" for value in scaled(place.xyxy, _BINS, _BINS, _BINS - 1))


FAMILY = CogVLM()
