"""Ferret (Apple): answers with `[x1, y1, x2, y2]` behind the words, 0–1000 on each side.

From the repository apple/ml-ferret (README and ferret/eval). No common server loads it:
its answers can be read here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.phrased import read_phrased
from vlm_app.families.reading import Reader, box, scaled
from vlm_app.families.served import ServedFamily
from vlm_app.grounding import bounds
from vlm_app.types import Box, Point, Region, Task

_BINS = 1000
_END = "</s>"
_FOUR = r"\d{1,4}(?:\s?,\s?\d{1,4}){3}"
_BOXES = re.compile(rf"\s{{0,4}}\[\s?({_FOUR}(?:\s?;\s?{_FOUR})*)\s?\]")
_OPENED = re.compile(r"\s{0,4}\[[\d\s,;]*\Z")


class Ferret(ServedFamily):
    name = "ferret"
    title = "Ferret"
    max_images = 1
    tasks = frozenset({Task.CHAT, Task.GROUND})
    convention = "0–1000 of the image, x first"
    grid = _BINS
    phrases = True
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        if not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'a dog'."
            )
        return f"What is the location of {query} in the image?"

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
        return ", ".join(f"{one.label} {scaled(bounds(one.shape).xyxy, _BINS, _BINS)}" for one in regions)

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


FAMILY = Ferret()
