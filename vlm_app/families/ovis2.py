"""Ovis2 (Alibaba, 2025): chat over several images, captions, reading, boxes and points.

Asked with `Find the <ref>red apple</ref> in the image.` it answers with
`<box>(x0,y0),(x1,y1)</box>` or `<point>(x,y)</point>`. These words are known of Ovis 2.5
from other people's code, of Ovis2 from nowhere, and the scale from no source: numbers up
to 1 are read as fractions of a side and others as thousandths. Sources: transformers'
`Ovis2Processor` and its converter (template); `Describe this image in detail.` is the
demo's in AIDC-AI/Ovis.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader
from vlm_app.families.tagged import Tags, read_tagged
from vlm_app.families.templated import TemplatedFamily
from vlm_app.types import Picture, Point, Region, Seen, Task

_TAGS = Tags(("<ref>", "</ref>"), (("<box>", "</box>"), ("<point>", "</point>")))
_INDICATORS = ("<IMG_START>", "<IMG_GRID>", "<IMG_COL>", "<IMG_ROW>", "<IMG_END>", "<IMG_ATOM>")
_OTHER = ("<|im_start|>", "<|endoftext|>", "<image>", *_INDICATORS)
_PROMPTS = {
    Task.CAPTION: "Describe this image in detail.",
    Task.OCR: "Transcribe the text in this image.",  # ours: no official wording was found
    Task.GROUND: "Find the <ref>{}</ref> in the image. Please provide the bounding box coordinates.",
    Task.POINT: "Find the <ref>{}</ref> in the image. Please provide the point coordinates.",
}


class Ovis2(TemplatedFamily):
    name = "ovis2"
    title = "Ovis2"
    video = True
    native = "Ovis2ForConditionalGeneration"
    model_types = frozenset({"ovis2"})
    servers = ("vLLM",)
    pixel_budget = True
    tasks = frozenset({Task.CHAT, Task.COUNT, *_PROMPTS})
    text_only = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower.transformer",
        "connector": "model.vision_tower.head_linear",
        "language": "model.language_model",
    }
    end = "<|im_end|>"
    convention = "0–1 of the image, x first (thousandths are read too; no source says which)"
    grid = 1000
    pointed = frozenset({Task.POINT, Task.COUNT})
    phrases = True

    def prompt(self, task: Task, query: str) -> str:
        form = _PROMPTS[Task.POINT if task is Task.COUNT else task]
        if "{}" not in form:
            return form
        if not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'dog'."
            )
        return form.format(_TAGS.plain(query))

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """As many tiles as a budget of pixels holds, the small copy among them."""
        if pixels is None:
            return {}
        side = processor.image_processor.size
        most = max(1, pixels // (side["height"] * side["width"]) - 1)
        return {"max_patches": min(most, processor.image_processor.max_patches)}

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        if not pictures:
            return Seen()
        reader = processor.image_processor
        one = reader([pictures[-1].pixels], return_tensors="pt", **options)
        rows, columns = (int(count) for count in one["grids"][0])
        tiles = len(one["pixel_values"])
        return Seen(
            size=(columns * reader.size["width"], rows * reader.size["height"]),
            tiles=tiles,
            visual_tokens=tiles * processor.image_seq_length,
            convention=self.convention,
        )

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
        return read_tagged(text, reader, _TAGS, 0, query=query, control=_OTHER, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return "\n".join(f"<ref>{one.label}</ref>{_place(one)}" for one in regions)


def _place(region: Region) -> str:
    from vlm_app.grounding import bounds

    if isinstance(region.shape, Point):
        return f"<point>({region.shape.x:.3f},{region.shape.y:.3f})</point>"
    x0, y0, x1, y1 = bounds(region.shape).xyxy
    return f"<box>({x0:.3f},{y0:.3f}),({x1:.3f},{y1:.3f})</box>"


FAMILY = Ovis2()
