"""Examples that are written in the words of each family."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from PIL import Image

from vlm_app.families import Family, Size
from vlm_app.finetune.examples import Example
from vlm_app.finetune.replies import PLACING
from vlm_app.finetune.writing import Written
from vlm_app.media import picture_from
from vlm_app.types import Box, Mask, Picture, Point, Polygon, Region, Shape, Task

BOX = Box(0.1, 0.2, 0.35, 0.9)


@cache
def picture(size: Size = (400, 300), colour: str = "red") -> Picture:
    return picture_from(Image.new("RGB", size, colour))


def example(task: Task, *shapes: Shape, query: str = "red circle", text: str = "", **more: Any) -> Example:
    label = query if task in PLACING else "a red circle"
    read = label if task is Task.OCR_REGIONS else None
    regions = tuple(Region(label, shape, text=read) for shape in shapes)
    return Example(
        **({"pictures": (picture(),), "regions": regions} | more), task=task, query=query, text=text
    )


def read(family: Family, made: Written, input_size: Size | None = None) -> Any:
    assert made.answer is not None
    sizes = [one.size for turn in made.turns for one in turn.pictures]
    return family.parse(
        made.answer + family.end,
        image_size=sizes[-1],
        input_size=input_size,
        asked=(made.task, made.query),
        images=sizes,
    )


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    x0, y0 = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    x1, y1 = draw(st.floats(x0 + 0.05, 1)), draw(st.floats(y0 + 0.05, 1))
    if draw(st.booleans()):
        return Box(x0, y0, x1, y1)
    if draw(st.booleans()):
        return Polygon((Point(x0, y0), Point(x1, y0), Point(x1, y1), Point(x0, y1)))
    return Mask(Box(x0, y0, x1, y1), (2, 2), bytes([1, 1, 1, 1]))
