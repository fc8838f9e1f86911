"""Qwen2.5-VL: boxes and points in JSON or XML, in pixels of the image as the model saw it.

Prompts and forms are those of the official cookbooks (QwenLM/Qwen2.5-VL,
`spatial_understanding.ipynb`, `ocr.ipynb`, `document_parsing.ipynb`): `bbox_2d` with a
label under any key, `<points x1="…" y1="…">`, and HTML whose tags carry `data-bbox`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import read_objects, teller
from vlm_app.families.qwen import (
    CONTROL,
    OPEN_POINTS,
    POINTS,
    QwenFamily,
    ToShape,
    classes,
    needs_query,
    pixels_of,
    read_points,
    shape_in,
    whole_patches,
    write_json,
    write_points,
)
from vlm_app.families.reading import Reader, numbers
from vlm_app.types import Point, Region, Task

_TAGS = "h[1-6]|p|div|img|table|ol|ul|li|address|span|svg|section|figure|header|footer|body|t[rdh]"
# A tag with a place, and the words that follow it up to the next tag.
_PLACED = re.compile(
    rf'<(?P<tag>{_TAGS})(?=\s[^<>]{{0,400}}\bdata-bbox=")(?P<attributes>\s[^<>]{{0,500}})>'
    rf"(?P<words>[^<]{{0,1200}})(?:</(?P=tag)>|(?=<))"
)
_OPEN_TAG = re.compile(
    rf"</?[a-z]{{0,7}}[1-6]?\Z|<(?:{_TAGS})\s[^<>]*\Z"
    rf'|<(?:{_TAGS})\s[^<>]*\bdata-bbox="[^<>]*>[^<]*\Z'
)


class Qwen25VL(QwenFamily):
    name = "qwen2_5_vl"
    title = "Qwen2.5-VL"
    native = "Qwen2_5_VLForConditionalGeneration"
    model_types = frozenset({"qwen2_5_vl"})
    servers = ("vLLM", "SGLang", "llama.cpp", "Ollama")
    tasks = frozenset(
        {
            Task.CHAT,
            Task.CAPTION,
            Task.OCR,
            Task.DETECT,
            Task.GROUND,
            Task.POINT,
            Task.COUNT,
            Task.OCR_REGIONS,
        }
    )
    convention = "pixels of the image as the model saw it, x first"
    pointed = frozenset({Task.POINT, Task.COUNT})

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION:
            return "Describe this image."
        if task is Task.OCR:
            return "Read all the text in the image."
        if task is Task.OCR_REGIONS:
            return "Spotting all the text in the image with line-level, and output in JSON format."
        if task is Task.DETECT and not query:
            return (
                "Please first output bbox coordinates and names of every item in this image in JSON format."
            )
        if task is Task.DETECT:
            return (
                "Locate every item from the category list in the image and output the coordinates "
                f"in JSON format. The category set includes {classes(query)}."
            )
        query = needs_query(task, query)
        if task is Task.GROUND:
            return f"Locate the {query}, output its bbox coordinates using JSON format."
        return f"point to the {query}, output its coordinates in XML format <points x y>object</points>"

    def sent_size(self, size: Size) -> Size:
        return whole_patches(size)

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
        sides = pixels_of(image_size, input_size)
        if regions and all(isinstance(region.shape, Point) for region in regions):
            return write_points(regions, sides)
        return write_json(regions, sides, asked)

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
        shape = shape_in(*pixels_of(image_size, input_size))
        query = asked[1] if asked else ""

        def read(match: re.Match[str]) -> None:
            if match["tag"]:
                _read_tag(match, reader, shape)
            else:
                read_points(match, reader, shape, query)

        return read_objects(
            text,
            reader,
            teller(reader, shape, asked),
            whole=re.compile(f"{_PLACED.pattern}|{POINTS.pattern}"),
            read=read,
            opened=re.compile(f"{_OPEN_TAG.pattern}|{OPEN_POINTS.pattern}"),
            control=CONTROL,
            end=self.end,
        )


def _read_tag(match: re.Match[str], reader: Reader, shape: ToShape) -> None:
    """A tag of the HTML: its words are the label, or else its class (`image`, `table`) or name."""
    attributes = match["attributes"]
    found = re.search(r'\bdata-bbox="([^"<>]*)"', attributes)
    kind = re.search(r'\bclass="([^"<>]*)"', attributes)
    words = match["words"].strip()
    place = shape(numbers(found[1])) if found else None
    reader.thing(words or (kind[1] if kind else match["tag"]), place, read=words or None)


FAMILY = Qwen25VL()
