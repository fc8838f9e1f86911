"""What a parser made of an answer, in a form that a table of tests can hold."""

from __future__ import annotations

from vlm_app import families
from vlm_app.families import Parsed
from vlm_app.types import Box, Point, Task


def read(name: str, text: str, task: Task = Task.DETECT, query: str = "cat") -> Parsed:
    """An answer about an image of 1000 × 500 pixels, which the model saw as it is."""
    return families.get(name).parse(text, image_size=(1000, 500), asked=(task, query))


def places(name: str, text: str, task: Task = Task.DETECT) -> list[tuple[str, tuple[float, ...]]]:
    found = []
    for region in read(name, text, task).regions:
        shape = region.shape
        values = (
            shape.xyxy if isinstance(shape, Box) else (shape.x, shape.y) if isinstance(shape, Point) else ()
        )
        found.append((region.label, tuple(round(value, 3) for value in values)))
    return found
