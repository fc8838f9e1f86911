"""Gemini, a hosted service: boxes and points in JSON, **y before x**, on a grid of 1000.

Prompts and forms are those of Google's documentation (ai.google.dev, 'Image understanding'
and 'Gemini Robotics-ER'): `box_2d` is [ymin, xmin, ymax, xmax], `point` is [y, x].
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import read_objects, shaped, teller
from vlm_app.families.qwen import classes, needs_query
from vlm_app.families.reading import Reader, corners, scaled
from vlm_app.families.served import ServedFamily
from vlm_app.types import Point, Region, Shape, Task

_GRID = 1000
_BOXES = "The box_2d should be [ymin, xmin, ymax, xmax] normalized to 0-1000."
_POINTS = (
    "The label returned should be an identifying name for the object detected. The answer should follow "
    'the json format: [{"point": <point>, "label": <label1>}, ...]. '
    "The points are in [y, x] format normalized to 0-1000."
)


class Gemini(ServedFamily):
    name = "gemini"
    title = "Gemini"
    servers = ("Google's API",)
    video = True
    text_only = True
    tasks = frozenset({Task.CHAT, Task.CAPTION, Task.OCR, Task.DETECT, Task.GROUND, Task.POINT, Task.COUNT})
    convention = "0–1000 of the image, y first"
    grid = _GRID
    pointed = frozenset({Task.POINT, Task.COUNT})

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION:
            return "Caption this image."  # the documentation's first example
        if task is Task.OCR:
            return "Transcribe the text in this image."
        if task is Task.DETECT and not query:
            return f"Detect the all of the prominent items in the image. {_BOXES}"
        if task in (Task.DETECT, Task.GROUND):
            wanted = classes(query) if task is Task.DETECT else needs_query(task, query)
            return f"Detect the {wanted} in the image. {_BOXES}"
        return f"Get all points matching the following objects: {needs_query(task, query)}. {_POINTS}"

    def nothing(self, task: Task, query: str) -> str:
        return "```json\n[]\n```"

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        told = []
        for region in regions:
            name = "point" if isinstance(region.shape, Point) else "box_2d"
            numbers = _turned(scaled(corners(region.shape), _GRID, _GRID))
            told.append(json.dumps({name: numbers, "label": region.label}, ensure_ascii=False))
        return "```json\n[\n  " + ",\n  ".join(told) + "\n]\n```"

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

        def shape(numbers: Sequence[float]) -> Shape | None:
            return shaped(_turned(numbers), _GRID, _GRID)

        return read_objects(text, reader, teller(reader, shape, asked))


def _turned(numbers: Sequence[float]) -> list[float]:
    """Each pair the other way round; an odd number of them is no place, and stays as it is."""
    if len(numbers) % 2:
        return list(numbers)
    return [numbers[index ^ 1] for index in range(len(numbers))]


FAMILY = Gemini()
