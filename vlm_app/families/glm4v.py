"""GLM-4.1V, GLM-4.5V and GLM-4.6V (Z.ai): chat with thinking, and boxes between box tokens.

From the repository zai-org/GLM-V: boxes are [x1, y1, x2, y2] on a grid of 1000 between
`<|begin_of_box|>` and `<|end_of_box|>`, in brackets of any style. The same tokens also
mark a short final answer. A server that drops special tokens leaves the brackets alone,
so these are read as well where a place was asked for. Thinking and answer may be wrapped
in `<think>` and `<answer>`. Objects of several classes are asked for in the words of the
example that Z.ai gives for GLM-4.6V (breeds of cats), and come as JSON between the tokens.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size, alone
from vlm_app.families.objects import read_objects, teller
from vlm_app.families.qwen import (
    ToShape,
    check_shape,
    classes,
    needs_query,
    seen_grid,
    shape_in,
    size_options,
)
from vlm_app.families.reading import Reader, corners, numbers, scaled
from vlm_app.families.templated import TemplatedFamily, encoded, videos
from vlm_app.types import Clip, Picture, Region, Role, Seen, Task, Turn

_GRID = 1000
_END = "<|user|>"  # an answer ends where the next turn begins
_BOX, _UNBOX = "<|begin_of_box|>", "<|end_of_box|>"
_CONTROL = (
    _BOX,
    _UNBOX,
    "<answer>",
    "</answer>",
    "<|assistant|>",
    "<|system|>",
    "<|observation|>",
    "<|endoftext|>",
    "<sop>",
    *(f"<|{side}_of_{name}|>" for name in ("image", "video") for side in ("begin", "end")),
    "<|image|>",
    "<|video|>",
)
_BOXED = re.compile(rf"(?P<gap> ?){re.escape(_BOX)}(?P<boxed>[^|{{]{{0,1500}}?){re.escape(_UNBOX)}")
_OPEN_BOX = rf"{re.escape(_BOX)}(?!\s*\[?\s*\{{)(?s:(?!{re.escape(_UNBOX)}).)*\Z"
_NUMBER = r"\s*-?\d{1,5}(?:\.\d{1,6})?\s*"
_PLACE = rf"[\[(<]{_NUMBER}(?:,{_NUMBER}){{1,3}}[\])>]"
_PLACES = re.compile(rf"[\[(<\s]{{0,4}}{_PLACE}(?:\s{{0,4}},?\s{{0,4}}{_PLACE}){{0,60}}[\])>\s]{{0,4}}")
_LEADING = rf"[\[(<\s]{{0,4}}{_PLACE}(?:\s{{0,4}},?\s{{0,4}}{_PLACE}){{0,60}}"
# The places that are whole between tokens of which the second has not come: an answer may end there.
_PART = rf"(?P<part_gap> ?){re.escape(_BOX)}(?P<part>{_LEADING})(?s:(?!{re.escape(_UNBOX)}).)*?(?=<?\Z)"
# Boxes whose tokens were dropped, and what stands between and behind them.
_BEHIND = r"(?<=\d[\])>])"
_FIRST = r"(?<!: )(?<!:)(?<![\[(<])"  # not the value of a JSON key
_BARE = re.compile(
    rf"(?P<bare>(?:{_BEHIND}\s*,\s*|{_FIRST})[\[(<]{{1,2}}{_NUMBER}(?:,{_NUMBER}){{3}}[\])>])|{_BEHIND}[\])>]"
)
_OPEN_BARE = rf"(?:{_BEHIND}\s*,\s*|{_FIRST})[\[(<]{{1,2}}[\d\s.,-]{{0,60}}\Z|{_BEHIND}\s*,\s*\Z"
_GROUNDING = (Task.GROUND, Task.COUNT)
_LIST = (
    "Return the results in valid JSON format. The result should be a list, where each element in the list "
    "corresponds to a dictionary of target detection results. The dictionary keys are label and bbox_2d, "
    "with values being the object's category and the result bounding box coordinates respectively. "
    "For example: "
)


class Glm4v(TemplatedFamily):
    name = "glm4v"
    title = "GLM-4.1V / 4.5V"
    native = "Glm4vForConditionalGeneration"
    model_types = frozenset({"glm4v", "glm4v_moe", "glm46v"})
    servers = ("vLLM", "SGLang")
    pixel_budget = True
    text_only = True
    video = True
    native_video = True
    tasks = frozenset({Task.CHAT, Task.CAPTION, Task.OCR, Task.DETECT, *_GROUNDING})
    convention = "0–1000 of the image, x first, between box tokens"
    grid = _GRID
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.visual.blocks",
        "connector": "model.visual.merger",
        "language": "model.language_model",
    }
    end = _END
    markup = re.compile(
        "|".join(map(re.escape, (_BOX, _UNBOX, "<think>", "</think>", "<answer>", "</answer>")))
    )

    def prompt(self, task: Task, query: str) -> str:
        if task is Task.CAPTION:
            return "Describe this image."
        if task is Task.OCR:
            return "Read all the text in the image."
        if task is Task.DETECT:
            return _detecting(classes(query))
        return (
            "Please pinpoint the bounding box [[x1,y1,x2,y2], …] in the image as per the given description. "
            + needs_query(task, query)
        )

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        for picture in (picture for turn in turns for picture in turn.pictures):
            check_shape(picture)
        return super().encode(processor, turns, task=task, pixels=pixels, answer=answer)

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """The processor counts an image as two frames, so its limits are of twice the pixels."""
        reader = processor.image_processor
        return size_options(reader, pixels and pixels * reader.temporal_patch_size)

    def takes(self, turns: Sequence[Turn]) -> bool:
        """Frames are marked by the image token, so that images beside them cannot be told apart."""
        return super().takes(turns) and alone(turns)

    def clip_options(self, processor: Any, pixels: int | None, clip: Clip) -> dict[str, Any]:
        """The limits of the video processor are those of all frames together."""
        return size_options(processor.video_processor, pixels and pixels * len(clip.frames))

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        return _tensors(encoded(processor, prompt, pictures, options, tensors=False))

    def process_clips(
        self,
        processor: Any,
        prompt: str,
        pictures: Sequence[Picture],
        clips: Sequence[Clip],
        options: dict[str, Any],
        clip_options: dict[str, Any],
    ) -> dict[str, Any]:
        given = videos(clips, clip_options)
        return _tensors(encoded(processor, prompt, pictures, options, given, tensors=False))

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        return seen_grid(processor.video_processor, inputs["video_grid_thw"][-1], self.convention)

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        from transformers.models.glm4v.image_processing_glm4v import smart_resize

        if not pictures:
            return Seen()
        reader = processor.image_processor
        size = options.get("size") or reader.size
        factor = reader.patch_size * reader.merge_size
        width, height = pictures[-1].size
        high, wide = smart_resize(
            reader.temporal_patch_size,
            height,
            width,
            reader.temporal_patch_size,
            factor,
            min_pixels=size["shortest_edge"],
            max_pixels=size["longest_edge"],
        )
        tokens = (high // factor) * (wide // factor)
        return Seen(size=(wide, high), visual_tokens=tokens, convention=self.convention)

    def _message(self, processor: Any, turn: Turn) -> dict[str, Any]:
        """The template takes parts from the user alone; of others it prints what it gets."""
        message = super()._message(processor, turn)
        if turn.role is not Role.USER:
            message["content"] = "".join(part.get("text", "") for part in message["content"])
        return message

    def nothing(self, task: Task, query: str) -> str:
        return f"{_BOX}[]{_UNBOX}"

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        if asked and asked[0] is Task.DETECT:
            return f"{_BOX}[{', '.join(map(_labelled, regions))}]{_UNBOX}"
        places = [scaled(corners(region.shape), _GRID, _GRID) for region in regions]
        return _BOX + "[" + ",".join(str(place).replace(" ", "") for place in places) + "]" + _UNBOX

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
        bare = asked is not None and asked[0] in _GROUNDING
        return read_objects(
            text,
            reader,
            teller(reader, shape, asked),
            whole=re.compile(f"{_BOXED.pattern}|{_PART}|{_BARE.pattern}") if bare else _BOXED,
            read=_reading(reader, shape, asked),
            opened=re.compile(f"{_OPEN_BOX}|{_OPEN_BARE}" if bare else _OPEN_BOX),
            control=_CONTROL,
            end=self.end,
        )


def _tensors(inputs: dict[str, Any]) -> dict[str, Any]:
    """The processor makes its token types with NumPy, which warns about tensors: it wrote lists."""
    import torch

    return {
        name: value if isinstance(value, torch.Tensor) else torch.tensor(value)
        for name, value in inputs.items()
    }


def _detecting(wanted: str) -> str:
    named = (
        f"all objects of these categories in the image: {wanted}" if wanted else "all objects in the image"
    )
    name = wanted.partition(",")[0] or "cat"
    example = [{"label": name, "bbox_2d": box} for box in ([1, 2, 3, 4], [4, 5, 6, 7])]
    return f"Detect {named}. {_LIST}{json.dumps(example, ensure_ascii=False)}"


def _labelled(region: Region) -> str:
    place = scaled(corners(region.shape), _GRID, _GRID)
    return json.dumps({"label": region.label, "bbox_2d": place}, ensure_ascii=False)


def _reading(reader: Reader, shape: ToShape, asked: Asked | None) -> Callable[[re.Match[str]], None]:
    """What is done with what stands between box tokens: places, or a short answer."""
    query = asked[1] if asked else ""
    leading = re.compile(_LEADING) if asked and asked[0] in _GROUNDING else None

    def read(match: re.Match[str]) -> None:
        groups = match.groupdict()
        boxed, rest = groups["boxed"], ""
        if boxed is not None and leading and (found := leading.match(boxed)):
            boxed, rest = found.group(), boxed[found.end() :].lstrip("])> \n")
        elif boxed is not None and not _PLACES.fullmatch(boxed):
            reader.prose(groups["gap"] + boxed)
            return
        text = boxed or groups.get("part") or groups.get("bare") or ""
        places = [shape(numbers(place)) for place in re.findall(_PLACE, text)]
        if reader.out.rpartition("</think>")[2].strip() and query:
            reader.behind(query, *places)
        elif places:
            reader.thing(query, *places)
        reader.prose(rest)

    return read


FAMILY = Glm4v()
