"""PaddleOCR-VL (Baidu, 2025): reads text, tables, formulas and charts; from 1.5 on with places.

Asked in single words: `OCR:`, `Spotting:`, and in a chat `Table Recognition:`, `Formula
Recognition:`, `Chart Recognition:`. Spotting writes a line of text and eight `<|LOC_n|>`,
four corners in thousandths; some checkpoints put `<|TEXT_START|>`, `<|TEXT_END|>` around
the text and `<|LOC_BEGIN|>`, `<|LOC_END|>` around the corners. Sources: transformers'
page on the model, and `post_process_for_spotting` of PaddlePaddle/PaddleX.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader, box, numbers, polygon, read_markup, scaled
from vlm_app.families.templated import TemplatedFamily
from vlm_app.types import Picture, Polygon, Region, Seen, Shape, Task, Turn

_LOC = r"<\|LOC_\d{1,4}\|>"
_WHOLE = re.compile(rf"(?:<\|LOC_BEGIN\|>)?(?P<places>(?:{_LOC}){{8}})(?:<\|LOC_END\|>)?\s*")
_OPENED = re.compile(rf"(?:<\|LOC_BEGIN\|>|{_LOC})(?:{_LOC}){{0,7}}(?:<(?:\|[A-Z_]{{0,10}}\d{{0,4}}\|?)?)?\Z")
_ALONE = re.compile(r"(?<!<\|IMAGE_START\|>)<\|IMAGE_PLACEHOLDER\|>")
_SPOTTED = ("<|TEXT_START|>", "<|TEXT_END|>", "<|LOC_BEGIN|>", "<|LOC_END|>", "<|LOC_SEP|>")
_CONTROL = (
    *_SPOTTED,
    *(f"<|LOC_{n}|>" for n in range(1001)),
    "<|begin_of_sentence|>",
    "<|end_of_sentence|>",
    "<|IMAGE_START|>",
    "<|IMAGE_PLACEHOLDER|>",
    "<|IMAGE_END|>",
    "<unk>",
    "<s>",
)
_PROMPTS = {Task.OCR: "OCR:", Task.OCR_REGIONS: "Spotting:"}


class PaddleOCRVL(TemplatedFamily):
    name = "paddleocr_vl"
    title = "PaddleOCR-VL"
    native = "PaddleOCRVLForConditionalGeneration"
    model_types = frozenset({"paddleocr_vl"})
    servers = ("vLLM", "SGLang", "llama.cpp")
    max_images = 1
    pixel_budget = True
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.visual",
        "connector": "model.projector",
        "language": "model.language_model",
    }
    markup = re.compile("|".join((_LOC, *map(re.escape, _SPOTTED))))
    end = "</s>"
    convention = "0–1000 of the image, x first; four corners"
    grid = 1000
    outlined = frozenset({Task.OCR_REGIONS})

    def prompt(self, task: Task, query: str) -> str:
        return _PROMPTS[task]

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        if pixels is None:
            return {}
        least, most = _edges(processor)
        return {"size": {"shortest_edge": min(least, pixels), "longest_edge": min(most, pixels)}}

    def _render(self, processor: Any, turns: Sequence[Turn], prompt: bool = True) -> str:
        """The template's text, in which an image stands between its two tokens.

        The template writes them only where nobody hands it an `image_token`, and
        transformers does for a tokenizer that knows one.
        """
        return _ALONE.sub(r"<|IMAGE_START|>\g<0><|IMAGE_END|>", super()._render(processor, turns, prompt))

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        from transformers.models.paddleocr_vl.image_processing_paddleocr_vl import smart_resize

        if not pictures:
            return Seen()
        reader = processor.image_processor
        unit = reader.patch_size * reader.merge_size
        size = options.get("size")
        least, most = (size["shortest_edge"], size["longest_edge"]) if size else _edges(processor)
        width, height = pictures[-1].size
        tall, wide = smart_resize(height, width, unit, least, most)
        tokens = (tall // unit) * (wide // unit)
        return Seen(size=(wide, tall), visual_tokens=tokens, convention=self.convention)

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
        done = 0  # how much of the text has its places

        def read(match: re.Match[str]) -> None:
            nonlocal done
            line = reader.out[done:].rpartition("\n")[2].strip()
            shape = _quad(numbers(match["places"].replace("|", " ")))
            if line:
                reader.behind(line, shape, read=line)
                reader.prose("\n")
            done = len(reader.out)

        return read_markup(text, reader, _WHOLE, read, opened=_OPENED, control=_CONTROL, end=self.end)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return "\n".join(_line(one) for one in regions)


def _quad(values: Sequence[float]) -> Shape | None:
    """Four corners; an upright rectangle is a box."""
    x0, y0, x1, y1 = *values[:2], *values[4:6]
    if tuple(values) == (x0, y0, x1, y0, x1, y1, x0, y1):
        return box((x0, y0, x1, y1), 1000, 1000)
    return polygon(values, 1000, 1000)


def _line(region: Region) -> str:
    from vlm_app.grounding import bounds

    around = bounds(region.shape)
    x0, y0, x1, y1 = around.xyxy
    corners: tuple[float, ...] = (x0, y0, x1, y0, x1, y1, x0, y1)
    if isinstance(region.shape, Polygon) and len(region.shape.points) == 4:
        corners = tuple(value for place in region.shape.points for value in (place.x, place.y))
    places = "".join(f"<|LOC_{unit}|>" for unit in scaled(corners, 1000, 1000))
    return " ".join((region.text or region.label).split()) + places


def _edges(processor: Any) -> tuple[int, int]:
    """The fewest and the most pixels of an image that the processor passes on."""
    size = processor.image_processor.size
    return int(size["shortest_edge"]), int(size["longest_edge"])


FAMILY = PaddleOCRVL()
