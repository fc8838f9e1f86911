"""What the Qwen-VL families share: how large they see an image, and how they write places.

Qwen-VL and Qwen2-VL mark phrases and boxes with tokens; Qwen2.5-VL and Qwen3-VL write
JSON in a fence, and points also as `<points x1="…" y1="…">`.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Size
from vlm_app.families.objects import shaped
from vlm_app.families.reading import Reader, corners, numbers, scaled
from vlm_app.families.templated import TemplatedFamily
from vlm_app.types import Clip, Picture, Point, Region, Seen, Shape, Task, Turn

END = "<|im_end|>"
MARKUP = tuple(f"<|{name}_{side}|>" for name in ("object_ref", "box", "quad") for side in ("start", "end"))
CONTROL = (
    *MARKUP,
    "<|im_start|>",
    "<|endoftext|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_FLATTEST = 200  # an image may be so many times as long as wide, says the image processor
# `<points x1="…" y1="…" alt="…">label</points>`, and `<point x="…" y="…">`
POINTS = re.compile(
    r"<points?\s(?=[^<>]{0,1500}\by\d*=)(?P<numbers>[^<>]{0,1500})>(?P<object>[^<>]{0,300})</points?>"
)
OPEN_POINTS = re.compile(
    r"<(?:p(?:o(?:i(?:n(?:ts?)?)?)?)?)?\Z|<points?\s[^<>]*\Z|<points?\s[^<>]*>[^<>]*(?:</?[points]{0,6})?\Z"
)

ToShape = Callable[[Sequence[float]], Shape | None]


class QwenFamily(TemplatedFamily):
    """A Qwen model with a vision tower of dynamic resolution."""

    pixel_budget = True
    text_only = True
    video = True
    native_video = True
    frames_share: ClassVar[bool] = False  # whether the video processor's limit is of all frames together
    end = END
    markup = re.compile("|".join(map(re.escape, MARKUP)))
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.visual.blocks",
        "connector": "model.visual.merger",
        "language": "model.language_model",
    }

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
        """`size` of the image processor: its edges are numbers of pixels, whatever they are called."""
        return size_options(processor.image_processor, pixels)

    def clip_options(self, processor: Any, pixels: int | None, clip: Clip) -> dict[str, Any]:
        """A share of the limit for each frame, as in Qwen's own code."""
        options = {"cap_pixels_per_frame": True}
        if pixels is None:
            return options
        frames = len(clip.frames) if self.frames_share else 1
        size = size_options(processor.video_processor, pixels * frames)["size"]
        return options | {"size": size | {"shortest_edge": min(size["shortest_edge"], pixels)}}

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        return seen_grid(processor.video_processor, inputs["video_grid_thw"][-1], self.convention)

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

        if not pictures:
            return Seen()
        reader = processor.image_processor
        size = options.get("size") or reader.size
        factor = reader.patch_size * reader.merge_size
        width, height = pictures[-1].size
        high, wide = smart_resize(
            height, width, factor, min_pixels=size["shortest_edge"], max_pixels=size["longest_edge"]
        )
        tokens = (high // factor) * (wide // factor)
        return Seen(size=(wide, high), visual_tokens=tokens, convention=self.convention)


def seen_grid(reader: Any, grid: Any, convention: str) -> Seen:
    """What is seen of a clip whose patches are counted as (pairs of frames, rows, columns)."""
    pairs, rows, columns = (int(count) for count in grid)
    return Seen(
        size=(columns * reader.patch_size, rows * reader.patch_size),
        visual_tokens=pairs * rows * columns // reader.merge_size**2,
        convention=convention,
    )


def whole_patches(size: Size, patch: int = 28, least: int = 56**2, most: int = 1280 * 28**2) -> Size:
    """The nearest size of whole patches with `least` to `most` pixels, as the image processor finds it.

    The limit is the one that the model card proposes: servers rarely set a smaller one.
    """
    width, height = (max(round(side / patch), 1) * patch for side in size)
    if width * height > most:
        shrink = (size[0] * size[1] / most) ** 0.5
        width, height = (max(int(side / shrink // patch), 1) * patch for side in size)
    elif width * height < least:
        grow = (least / (size[0] * size[1])) ** 0.5
        width, height = (-int(-side * grow // patch) * patch for side in size)
    return width, height


def check_shape(picture: Picture) -> None:
    """The image processors refuse very long and narrow images; `BadInput` says so in a sentence."""
    width, height = picture.size
    if max(width, height) > _FLATTEST * min(width, height):
        raise BadInput(
            f"This model takes images up to {_FLATTEST} times as long as wide, found {width} × {height}: "
            "crop the image, or choose another model."
        )


def size_options(image_processor: Any, pixels: int | None) -> dict[str, Any]:
    """At most `pixels` pixels, and never more than the processor's own limit."""
    if pixels is None:
        return {}
    least, most = image_processor.size["shortest_edge"], image_processor.size["longest_edge"]
    cell = (image_processor.patch_size * image_processor.merge_size) ** 2
    budget = max(cell, min(pixels, most))
    return {"size": {"shortest_edge": min(least, budget), "longest_edge": budget}}


def needs_query(task: Task, query: str) -> str:
    """The query, without its article; `BadInput` where there is none."""
    if not query:
        raise BadInput(
            f"The task '{task}' needs to know what to look for: give it a query, such as 'red circle'."
        )
    return re.sub(r"\Athe\s+", "", query, flags=re.IGNORECASE)


def classes(query: str) -> str:
    """'cat; dog' as the models are told it: 'cat, dog'."""
    return ", ".join(part.strip() for part in re.split("[,;]", query) if part.strip())


# --- JSON in a fence ------------------------------------------------------------------------


def write_json(
    regions: Sequence[Region],
    sides: tuple[float, float],
    asked: Asked | None,
    most: float | None = None,
) -> str:
    """The regions as Qwen2.5-VL and Qwen3-VL write them; `sides` are the units of width and height."""
    name = "text_content" if asked and asked[0] is Task.OCR_REGIONS else "label"
    lines = []
    for region in regions:
        numbers = scaled(corners(region.shape), *sides, most)
        place = "point_2d" if isinstance(region.shape, Point) else "bbox_2d"
        told = {place: numbers, name: (region.text if name == "text_content" else None) or region.label}
        lines.append("\t" + json.dumps(told, ensure_ascii=False))
    return "```json\n[\n" + ",\n".join(lines) + "\n]\n```"


# --- <points x1="…" y1="…"> -----------------------------------------------------------------


def read_points(match: re.Match[str], reader: Reader, shape: ToShape, query: str) -> None:
    """A match of `POINTS`: its label is the text between the tags, or what was asked."""
    values = numbers(" ".join(re.findall(r'\b[xy]\d*="([^"]*)"', match["numbers"])))
    pairs = list(zip(values[0::2], values[1::2], strict=False))
    reader.thing(match["object"].strip() or query, *map(shape, pairs))


def write_points(regions: Sequence[Region], sides: tuple[float, float]) -> str:
    """Points that follow each other and share a label stand in one tag."""
    groups: list[tuple[str, list[int]]] = []
    for region in regions:
        x, y, *_ = scaled(corners(region.shape), *sides)
        label = re.sub(r"[<>\"]", "", region.label)
        if not groups or groups[-1][0] != label:
            groups.append((label, []))
        groups[-1][1].extend((x, y))
    lines = []
    for label, values in groups:
        places = " ".join(
            f'{"xy"[index % 2]}{index // 2 + 1}="{value}"' for index, value in enumerate(values)
        )
        lines.append(f'<points {places} alt="{label}">{label}</points>')
    return "\n".join(lines)


# --- phrase and box tokens ------------------------------------------------------------------


class PhraseTokens:
    """Reads and writes phrases and boxes between tokens: `<ref>dog</ref><box>(1,2),(3,4)</box>`."""

    def __init__(self, ref: str, box: str, quad: str) -> None:
        """Each is the token that opens: of a phrase, of a box or point, of an outline."""
        tokens = {"ref": ref, "box": box, "quad": quad}
        self._tokens = {name: _pair(token) for name, token in tokens.items()}
        pairs = {name: tuple(map(re.escape, pair)) for name, pair in self._tokens.items()}
        self.whole = "|".join(
            f"{start}(?P<{name}>[^<]{{0,400}}){end}" for name, (start, end) in pairs.items()
        )
        self.opened = "|".join(f"(?s:{start}(?:(?!{end}).)*)\\Z" for start, end in pairs.values())

    def reading(self, reader: Reader, shape: ToShape, query: str) -> Callable[[re.Match[str]], None]:
        """What is done with each match of `whole`, in one answer."""
        label = ""

        def read(match: re.Match[str]) -> None:
            nonlocal label
            if match["ref"] is not None:
                phrase = match["ref"].lstrip()
                reader.prose(" " * (phrase != match["ref"]))  # 'and<ref> her dog</ref>', says Qwen-VL
                label = phrase.rstrip().strip('"')
                reader.thing(label)
                return
            place = shape(numbers(match["box"] if match["box"] is not None else match["quad"]))
            if label:
                reader.behind(label, place)
            else:
                label = query
                reader.thing(query, place)

        return read

    def write(self, regions: Sequence[Region], sides: tuple[float, float]) -> str:
        (ref, unref), (start, stop) = self._tokens["ref"], self._tokens["box"]
        pieces = []
        for label, group in itertools.groupby(regions, key=lambda one: one.label):
            pieces.append(f"{ref}{label}{unref}")
            for region in group:
                values = scaled(corners(region.shape), *sides)
                pairs = zip(values[0::2], values[1::2], strict=True)
                pieces.append(f"{start}{','.join(f'({x},{y})' for x, y in pairs)}{stop}")
        return "".join(pieces)


def _pair(token: str) -> tuple[str, str]:
    """('<|box_start|>', '<|box_end|>') of '<|box_start|>', ('<box>', '</box>') of '<box>'."""
    if "_start" in token:
        return token, token.replace("_start", "_end")
    return token, token.replace("<", "</")


TOKENS = PhraseTokens("<|object_ref_start|>", "<|box_start|>", "<|quad_start|>")


def shape_in(width: float, height: float) -> ToShape:
    """Numbers to shapes, where `width` and `height` units make up the image."""
    return lambda values: shaped(values, width, height)


def pixels_of(image_size: Size, input_size: Size | None) -> tuple[float, float]:
    """The size that pixels are of: that of what the model saw, where it is known."""
    return input_size or image_size
