"""Molmo 2 (Ai2, 2025): chat over several images, captions, reading and pointing.

It points with `<points coords="1 1 073 160 2 173 600\\t2 3 373 460">boats</points>`: groups
behind a tab or a semicolon, each an image's number (from 1) and then number, x and y of
its points in thousandths of a side. In a video a group begins with seconds instead.
Sources: transformers' `Molmo2Processor`, the converter of allenai/molmo2 (template) and
Ai2's playground (samples); the words of the tasks are those of the first Molmo.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size, alone, clips
from vlm_app.families.molmo import NONE, PROMPTS, alt, by_label, pointing_prompt
from vlm_app.families.reading import Reader, point, read_markup, scaled
from vlm_app.families.tagged import begun, centre
from vlm_app.families.templated import TemplatedFamily
from vlm_app.types import Clip, Picture, Point, Region, Role, Seen, Task, Turn

_MOST = 1500  # characters of a tag: about 130 points
_WHOLE = re.compile(
    rf"<(?:points|tracks)\s(?P<places>[^<>]{{0,{_MOST}}})"
    r"(?:/>|>(?P<label>[^<]{0,300})</(?:points|tracks)>)"
)
_OPENED = re.compile(
    rf"<(?:points|tracks)(?:\s[^<>]{{0,{_MOST}}}(?:>[^<]{{0,300}}(?:</?[a-z]{{0,6}})?)?)?\Z"
    rf"|{begun('<points', '<tracks')}"
)
_COORDS = re.compile(r'coords\s*=\s*"([^"]*)"')
_GROUP = re.compile(r"\s*(\d+(?:\.\d+)?)\s*:?((?:\s+\d+\s+\d{1,5}\s+\d{1,5}\b)+)")
_OTHER = ("<|im_start|>", "<|endoftext|>", "<|image|>", "<|video|>", "<im_start>", "<im_end>", "<im_patch>")

ToImage = Callable[[float], int]


class Molmo2(TemplatedFamily):
    name = "molmo2"
    title = "Molmo 2"
    video = True
    native_video = True
    native = "Molmo2ForConditionalGeneration"
    model_types = frozenset({"molmo2"})
    servers = ("vLLM",)
    pixel_budget = True
    tasks = frozenset({Task.CHAT, Task.COUNT, *PROMPTS})
    text_only = True
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }
    end = "<|im_end|>"
    convention = "0–1000 of the image, x first"
    grid = 1000
    pointed = frozenset({Task.POINT, Task.COUNT})
    phrases = True

    def prompt(self, task: Task, query: str) -> str:
        return pointing_prompt(task, query)

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """As many crops as a budget of pixels holds, the small copy among them."""
        if pixels is None:
            return {}
        reader = processor.image_processor
        crops = pixels // (reader.size["height"] * reader.size["width"]) - 1
        return {"max_crops": min(max(crops, 1), reader.max_crops)}

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        if not pictures:
            return Seen()
        reader = processor.image_processor
        width, height = pictures[-1].size
        (low_rows, low_columns, rows, columns), crops = reader.get_image_grid_and_crops(
            height, width, options
        )
        across, down = (reader.patch_size * pool for pool in reversed(reader.pooling_size))
        return Seen(
            size=(columns * across, rows * down),
            tiles=crops,
            visual_tokens=low_rows * low_columns + rows * columns,
            convention=self.convention,
        )

    def takes(self, turns: Sequence[Turn]) -> bool:
        """One clip and nothing else, which is what the processor and the model take."""
        return super().takes(turns) and alone(turns) and len(clips(turns)) == 1

    def seen_clip(self, processor: Any, clip: Clip, inputs: dict[str, Any]) -> Seen:
        reader = processor.video_processor
        frames, rows, columns = (int(count) for count in inputs["video_grids"][-1])
        across, down = (reader.patch_size * pool for pool in reversed(reader.pooling_size))
        return Seen(
            size=(columns * across, rows * down),
            visual_tokens=frames * rows * columns,
            convention=self.convention,
        )

    def _render(self, processor: Any, turns: Sequence[Turn], prompt: bool = True) -> str:
        return super()._render(processor, _alternating(turns), prompt)

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        return self._parse(text, asked, _Numbers(max(len(images) - 1, 0)))

    def parse_video(
        self,
        text: str,
        *,
        times: Sequence[float | None],
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        return self._parse(text, asked, _Seconds(times))

    def _parse(self, text: str, asked: Asked | None, image_of: ToImage) -> Parsed:
        reader = Reader()
        query = asked[1] if asked else ""

        def read(match: re.Match[str]) -> None:
            label = (match["label"] or "").strip() or alt(match["places"]) or query
            places = list(_places(match["places"], image_of))
            shapes = [(image, shape) for image, shape in places if shape is not None]
            reader.thing(label)
            for image, shape in shapes:
                reader.behind(label or "object", shape, image=image)

        return read_markup(text, reader, _WHOLE, read, opened=_OPENED, control=_OTHER, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return " ".join(_written(label, group) for label, group in by_label(regions)) or NONE


class _Numbers:
    """Which image a group names by its number; a number that is no image's means the last one."""

    def __init__(self, last: int) -> None:
        self._last = last

    def __call__(self, number: float) -> int:
        index = number - 1
        return int(index) if index.is_integer() and 0 <= index <= self._last else self._last


class _Seconds:
    """Which frame a group names by its time: the one that is nearest to it."""

    def __init__(self, times: Sequence[float | None]) -> None:
        self._times = [(time, image) for image, time in enumerate(times) if time is not None]

    def __call__(self, seconds: float) -> int:
        nearest = min(self._times, key=lambda frame: abs(frame[0] - seconds), default=(0.0, 0))
        return nearest[1]


def _places(attributes: str, image_of: ToImage) -> Iterator[tuple[int, Point | None]]:
    """The image and the place of each point."""
    coords = _COORDS.search(attributes)
    for group in re.split(r"[\t;]", coords[1]) if coords else ():
        found = _GROUP.fullmatch(group.rstrip())
        if found is None:
            continue
        index = image_of(float(found[1]))
        values = [float(number) for number in found[2].split()]
        for x, y in zip(values[1::3], values[2::3], strict=True):
            yield index, point((x, y), 1000, 1000)


def _written(label: str, group: Sequence[Region]) -> str:
    label = label.replace("<", " ").replace(">", " ")
    images: dict[int, list[str]] = {}
    for number, one in enumerate(sorted(group, key=lambda one: one.image), 1):
        x, y = scaled((centre(one).x, centre(one).y), 1000, 1000)
        images.setdefault(one.image, []).append(f"{number} {x:03d} {y:03d}")
    coords = "\t".join(f"{image + 1} {' '.join(points)}" for image, points in images.items())
    return f'<points coords="{coords}">{label}</points>'


def _alternating(turns: Sequence[Turn]) -> list[Turn]:
    """Turns as the template takes them: it knows no system prompt, so that goes before the first question."""
    system = [turn for turn in turns if turn.role is Role.SYSTEM]
    rest = [turn for turn in turns if turn.role is not Role.SYSTEM]
    if system and rest:
        words = "\n".join(turn.text for turn in system)
        rest[0] = Turn(rest[0].role, (words, *rest[0].parts))
    return rest


FAMILY = Molmo2()
