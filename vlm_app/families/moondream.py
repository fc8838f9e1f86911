"""Moondream 2 and 3 (M87 Labs): skills of their own for boxes and points, without labels.

The skills answer in JSON with fractions of the image: `{"objects": [{"x_min": 0.57, "y_min": …,
"x_max": …, "y_max": …}]}` and `{"points": [{"x": 0.5, "y": 0.4}]}` (docs.moondream.ai, and the
`detect` and `point` of the repository's moondream.py); a box may reach over the image's edge. In
a chat, a message such as `/detect {"object":"screwdriver"}` asks for a skill (OpenRouter's guide
'Find objects in images').
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader, box, point, read_markup
from vlm_app.families.served import ServedFamily
from vlm_app.grounding import bounds
from vlm_app.types import Point, Region, Shape, Task

_END = "<|endoftext|>"
_PROMPTS = {
    Task.CAPTION: "Describe this image.",
    Task.DETECT: "/detect {}",
    Task.POINT: "/point {}",
    Task.COUNT: "/point {}",
}
_DIGITS = 4  # decimals: finer than a pixel of any screen
_NUMBER = r"-?\d{1,3}(?:\.\d{1,20})?(?:[eE]-?\d{1,3})?"
_PAIR = rf"[\"'](?:[xy](?:_min|_max)?)[\"']\s{{0,4}}:\s{{0,4}}{_NUMBER}"
_ITEM = rf"\{{\s{{0,9}}{_PAIR}(?:\s{{0,9}},\s{{0,9}}{_PAIR}){{1,3}}\s{{0,9}},?\s{{0,9}}\}}"
_ID = r"(?:[\"']request_id[\"']\s{0,4}:\s{0,4}[\"'][\w:.-]{0,80}[\"']\s{0,9},\s{0,9})?"  # the service's
_LIST = rf"\{{\s{{0,9}}{_ID}[\"'](?:objects|points)[\"']\s{{0,4}}:\s{{0,4}}\[?"
_SHUT = r"\s{0,9}\]\s{0,9}\}"
_WHOLE = re.compile(rf"(?P<item>{_ITEM})\s{{0,9}},?|{_LIST}|{_SHUT}")
_OPENED = re.compile(r"\s{0,9}\](?:\s{0,9})\Z|\s{0,9}\{[^{}]{0,400}\Z")
_NEVER = re.compile("(?!)")


class Moondream(ServedFamily):
    name = "moondream"
    title = "Moondream"
    servers = ("Moondream Station",)
    max_images = 1
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    convention = "fractions of the image, x first"
    grid = 10**_DIGITS
    pointed = frozenset({Task.POINT, Task.COUNT})
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        if "{}" in _PROMPTS[task] and not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'face'."
            )
        wanted = json.dumps({"object": query}, ensure_ascii=False, separators=(",", ":"))
        return _PROMPTS[task].format(wanted)

    def nothing(self, task: Task, query: str) -> str:
        return json.dumps({"points" if task in self.pointed else "objects": []})

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        points = [_point(one.shape) for one in regions if isinstance(one.shape, Point)]
        boxes = [_box(one.shape) for one in regions if not isinstance(one.shape, Point)]
        return json.dumps({"points": points} if points and not boxes else {"objects": boxes})

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
        query = asked[1].strip() if asked and asked[0] is not Task.CHAT else ""

        def read(match: re.Match[str]) -> None:
            if match["item"]:
                reader.thing(query, _shape(match["item"]))

        opened = _NEVER if _END in text else _OPENED
        return read_markup(text, reader, _WHOLE, read, opened=opened, end=_END)


def _shape(item: str) -> Shape | None:
    values = {key: float(value) for key, value in re.findall(rf"[\"'](\w+)[\"']\s*:\s*({_NUMBER})", item)}
    if values.keys() == {"x", "y"}:
        return point((values["x"], values["y"]), 1, 1)
    if values.keys() == {"x_min", "y_min", "x_max", "y_max"}:
        return box([values[key] for key in ("x_min", "y_min", "x_max", "y_max")], 1, 1)
    return None


def _point(shape: Point) -> dict[str, Any]:
    return {"x": round(shape.x, _DIGITS), "y": round(shape.y, _DIGITS)}


def _box(shape: Shape) -> dict[str, Any]:
    names = ("x_min", "y_min", "x_max", "y_max")
    return {name: round(value, _DIGITS) for name, value in zip(names, bounds(shape).xyxy, strict=True)}


FAMILY = Moondream()
