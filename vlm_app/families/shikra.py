"""Shikra (SenseTime): answers with `[0.268,0.372,0.512,0.761]` behind the words.

From the repository shikras/shikra: three decimals of the square that the image is padded
to, in its middle; `;` stands between boxes, and two numbers are a point. No common server
loads it: its answers can be read here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.phrased import read_phrased
from vlm_app.families.reading import Reader, box, corners, point
from vlm_app.families.served import ServedFamily
from vlm_app.types import Region, Shape, Task

_END = "</s>"
_NUMBER = r"-?[01]\.\d{1,6}"
_PLACE = rf"{_NUMBER}\s?,\s?{_NUMBER}(?:\s?,\s?{_NUMBER}\s?,\s?{_NUMBER})?"
_BOXES = re.compile(rf"\s{{0,4}}\[\s?({_PLACE}(?:\s?;\s?{_PLACE})*)\s?\]")
_OPENED = re.compile(r"\s{0,4}\[[-\d.\s,;]*\Z")
_PROMPTS = {
    Task.GROUND: "Where is {}? Answer with its [x0,y0,x1,y1] coordinates.",
}


class Shikra(ServedFamily):
    name = "shikra"
    title = "Shikra"
    max_images = 1
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    convention = "0–1 of the image padded to a square, x first"
    phrases = True
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        if not query:
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
        return ", ".join(f"{one.label} [{_padded(corners(one.shape), image_size)}]" for one in regions)

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

        def place(values: Sequence[float]) -> Shape | None:
            width, height = image_size
            side = max(image_size)
            pads = ((side - width) / 2, (side - height) / 2)
            pixels = [value * side - pads[index % 2] for index, value in enumerate(values)]
            return (point if len(pixels) == 2 else box)(pixels, width, height)

        return read_phrased(text, reader, _BOXES, place, opened=_OPENED, asked=asked, end=_END)


def _padded(places: Sequence[float], image_size: Size) -> str:
    side = max(image_size)
    sides = [(length, (side - length) / 2) for length in image_size]
    values = [
        (value * sides[index % 2][0] + sides[index % 2][1]) / side for index, value in enumerate(places)
    ]
    return ",".join(f"{value:.3f}" for value in values)


FAMILY = Shikra()
