"""InternVL 1.5 to 3.5 (OpenGVLab), in the `-hf` conversions: chat, captions, reading, boxes.

A region is asked about and written in tags that are tokens of the model:
`<ref>…</ref><box>[[253, 231, 733, 787]]</box>`, thousandths of a side. Sources: the
prompts of `internvl_chat/eval/refcoco` and `eval/caption` and of `streamlit_demo/app.py`
in OpenGVLab/InternVL, and transformers' `InternVLProcessor`, which cuts an image into
tiles of 448 pixels and adds a small copy of the whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size, clips
from vlm_app.families.reading import Reader
from vlm_app.families.tagged import Tags, labelled_boxes, read_tagged
from vlm_app.families.templated import TemplatedFamily, control_tokens, marked
from vlm_app.types import Clip, Picture, Region, Role, Seen, Task, Turn

_TAGS = Tags(("<ref>", "</ref>"), (("<box>", "</box>"),))
_MARKUP = re.compile(r"</?(?:ref|box|quad)>")
_OTHER = ("<|im_start|>", "<|endoftext|>", "<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "</s>")
_PROMPTS = {
    Task.CAPTION: "Provide a one-sentence caption for the provided image.",
    Task.OCR: "Please extract the text in the image.",  # ours: no official wording was found
    Task.GROUND: "Please provide the bounding box coordinate of the region this sentence describes: {}",
    Task.DETECT: "Detect the {} in the image with its bounding box.",
}
_EVERYTHING = "Please identify and label all objects in the following image."


class _Official(str):
    """The family's own words for a task: the tags in it are meant as tokens."""


class InternVL(TemplatedFamily):
    name = "internvl"
    title = "InternVL"
    video = True
    native_video = True
    native = "InternVLForConditionalGeneration"
    model_types = frozenset({"internvl"})
    servers = ("vLLM", "SGLang", "llama.cpp")
    pixel_budget = True
    tasks = frozenset({Task.CHAT, Task.COUNT, *_PROMPTS})
    text_only = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }
    markup = _MARKUP
    end = "<|im_end|>"
    convention = "0–1000 of the image, x first"
    grid = 1000
    phrases = True

    def prompt(self, task: Task, query: str) -> str:
        query = _TAGS.plain(query)
        if task is Task.GROUND and not query:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'dog'."
            )
        form = _PROMPTS[Task.DETECT if task is Task.COUNT else task]
        if "{}" not in form:
            return form
        if task is Task.GROUND:
            return form.format(f"<ref>{query}</ref>")
        classes = [part.strip() for part in re.split("[,;]", query) if part.strip()]
        return form.format(", ".join(f"<ref>{one}</ref>" for one in classes)) if classes else _EVERYTHING

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        if task is not Task.CHAT:
            turns = _official(turns)
        return super().encode(processor, turns, task=task, pixels=pixels, answer=answer)

    def _marked(self, processor: Any, text: str, role: Role) -> str:
        if not isinstance(text, _Official):
            return super()._marked(processor, text, role)
        return marked(text, tuple(token for token in control_tokens(processor) if token not in _TAGS.label))

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """As many tiles as a budget of pixels holds, the small copy among them."""
        if pixels is None:
            return {}
        tile = processor.image_processor.size
        most = max(1, pixels // (tile["height"] * tile["width"]) - 1)
        return {"max_patches": min(most, processor.image_processor.max_patches)}

    def takes(self, turns: Sequence[Turn]) -> bool:
        """The frames of all clips become one tensor."""
        return super().takes(turns) and len({len(clip.frames) for clip in clips(turns)}) == 1

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        """A frame is one tile."""
        height, width = inputs["pixel_values"].shape[-2:]
        return Seen(
            size=(int(width), int(height)),
            visual_tokens=len(clip.frames) * processor.image_seq_length,
            convention=self.convention,
        )

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        from transformers.models.got_ocr2.image_processing_got_ocr2 import get_optimal_tiled_canvas

        if not pictures:
            return Seen()
        reader = processor.image_processor
        tile = (reader.size["height"], reader.size["width"])
        width, height = pictures[-1].size
        most = options.get("max_patches", reader.max_patches)
        columns, rows = 1, 1
        if most > 1:
            columns, rows = get_optimal_tiled_canvas((height, width), tile, reader.min_patches, most)
        tiles = columns * rows + (1 if columns * rows > 1 else 0)
        return Seen(
            size=(columns * tile[1], rows * tile[0]),
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
        bare = asked is not None and asked[0] in (Task.GROUND, Task.DETECT, Task.COUNT)
        return read_tagged(
            text, reader, _TAGS, self.grid, query=query, control=_OTHER, end=self.end, bare=bare
        )

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        found = labelled_boxes(self, regions, self.grid)
        return "\n".join(f"<ref>{label}</ref><box>{places}</box>" for label, places in found)


def _official(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns, the text of the last question known as the family's own words."""
    last = max(index for index, turn in enumerate(turns) if turn.role is Role.USER)
    parts = (_Official(part) if isinstance(part, str) else part for part in turns[last].parts)
    return (*turns[:last], Turn(Role.USER, tuple(parts)), *turns[last + 1 :])


FAMILY = InternVL()
