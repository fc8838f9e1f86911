"""Qwen3-VL: boxes and points in JSON on a grid of 1000.

Prompts and forms are those of the official cookbooks (QwenLM/Qwen3-VL, `2d_grounding`,
`omni_recognition`, `spatial_understanding`, `ocr`). By its users' reports it falls back to
older forms at times, on the same grid: `<points x1="…" y1="…">` and Qwen2-VL's tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.objects import read_objects, teller
from vlm_app.families.qwen import (
    CONTROL,
    OPEN_POINTS,
    POINTS,
    TOKENS,
    QwenFamily,
    classes,
    needs_query,
    read_points,
    shape_in,
    write_json,
)
from vlm_app.families.reading import Reader
from vlm_app.types import Clip, Picture, Region, Task

_GRID = 1000


class Qwen3VL(QwenFamily):
    name = "qwen3_vl"
    title = "Qwen3-VL"
    native = "Qwen3VLForConditionalGeneration"
    model_types = frozenset({"qwen3_vl", "qwen3_vl_moe"})
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
    frames_share = True
    convention = "0–1000 of the image, x first"
    grid = _GRID
    pointed = frozenset({Task.POINT, Task.COUNT})

    def process_clips(
        self,
        processor: Any,
        prompt: str,
        pictures: Sequence[Picture],
        clips: Sequence[Clip],
        options: dict[str, Any],
        clip_options: dict[str, Any],
    ) -> dict[str, Any]:
        """Without the template's marks around a video.

        As published, with transformers 4.57, the processor put the frames with their times and
        marks in their place; that of 5.23 leaves a second pair around them.
        """
        start, video, end = "<|vision_start|>", str(processor.video_token), "<|vision_end|>"
        prompt = prompt.replace(start + video + end, video)
        return super().process_clips(processor, prompt, pictures, clips, options, clip_options)

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION:
            return "Describe this image."  # the card's example
        if task is Task.OCR:
            return "Read all the text in the image."
        if task is Task.OCR_REGIONS:
            return (
                "Spotting all the text in the image with line-level, and output in JSON format as "
                "[{'bbox_2d': [x1, y1, x2, y2], 'text_content': 'text'}, ...]."
            )
        if task is Task.DETECT and not query:
            return "Locate every object of interest and report bbox coordinates in JSON format."
        wanted = classes(query) if task is Task.DETECT else needs_query(task, query)
        if task in (Task.DETECT, Task.GROUND):
            return (
                f'Locate every instance that belongs to the following categories: "{wanted}". '
                "Report bbox coordinates in JSON format."
            )
        return f"Locate the {wanted} in this image. Output the point coordinates in JSON format."

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
        return write_json(regions, (_GRID, _GRID), asked)

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
        query = asked[1] if asked else ""
        phrase = TOKENS.reading(reader, shape, query)

        def read(match: re.Match[str]) -> None:
            if match["numbers"] is not None:
                read_points(match, reader, shape, query)
            else:
                phrase(match)

        return read_objects(
            text,
            reader,
            teller(reader, shape, asked),
            whole=re.compile(f"{POINTS.pattern}|{TOKENS.whole}"),
            read=read,
            opened=re.compile(f"{OPEN_POINTS.pattern}|{TOKENS.opened}"),
            control=CONTROL,
            end=self.end,
        )


FAMILY = Qwen3VL()
