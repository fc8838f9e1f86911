"""DeepSeek-OCR 2 (DeepSeek, 2026): a page's text, with or without the places of its blocks.

Prompts without a chat template: `<image>\\nFree OCR.`, and `<image>\\n<|grounding|>Convert
the document to markdown.`, which writes before each block what it is and where:
`<|ref|>title<|/ref|><|det|>[[330, 198, 558, 230]]<|/det|>\\n# R&D QUALITY …`; a side is 999
units. Sources: the README and `run_dpsk_ocr2_image.py` of deepseek-ai/DeepSeek-OCR-2, and
transformers' page on the model, whose processor pads an image to a square of 1024 pixels
and adds tiles of 768.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.deepseek_vl2 import OTHER, SIDE, TAGS
from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.reading import Reader, read_markup
from vlm_app.families.tagged import labelled_boxes, shapes
from vlm_app.families.words import first_token
from vlm_app.types import Picture, Region, Seen, Shape, Task, Turn

_GROUNDING = "<|grounding|>"
_PROMPTS = {
    Task.OCR: "Free OCR.",
    Task.OCR_REGIONS: f"{_GROUNDING}Convert the document to markdown.",
}
_BLANK_LINE = re.compile(r"(?<=\S)[ \t]*\n[ \t]*\n")


class DeepseekOcr2(PromptedFamily):
    name = "deepseek_ocr2"
    title = "DeepSeek-OCR 2"
    native = "DeepseekOcr2ForConditionalGeneration"
    model_types = frozenset({"deepseek_ocr2"})
    servers = ("vLLM",)
    max_images = 1
    pixel_budget = True
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }
    end = "<｜end▁of▁sentence｜>"
    convention = "0–999 of the image, x first"
    grid = SIDE

    def prompt(self, task: Task, query: str) -> str:
        return _PROMPTS[task]

    def commands(self, task: Task) -> tuple[str, ...]:
        return (_GROUNDING,) if task is Task.OCR_REGIONS else ()

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        images = sum(len(turn.pictures) for turn in turns)
        return "<image>\n" * images + "\n".join(turn.text for turn in turns if turn.text)

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        images = {"images": [picture.pixels for picture in pictures]} if pictures else {}
        return dict(
            processor(
                text=[first_token(processor.tokenizer) + prompt],
                **images,
                **options,
                add_special_tokens=False,
                sanitize_control_tokens=True,
                return_tensors="pt",
            )
        )

    def image_options(self, processor: Any, pixels: int | None) -> dict[str, Any]:
        """As many tiles as a budget of pixels holds, beside the whole image; fewer than two are none."""
        if pixels is None:
            return {}
        reader = processor.image_processor
        tiles = min((pixels - reader.size["height"] ** 2) // reader.tile_size**2, reader.max_patches)
        return {"max_patches": tiles} if tiles >= reader.min_patches else {"crop_to_patches": False}

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        if not pictures:
            return Seen()
        height, width = inputs["pixel_values"].shape[-2:]
        square = pictures[-1].size[0] == pictures[-1].size[1]
        return Seen(
            size=(width, height),
            tiles=1 + int(inputs["num_local_patches"][-1]),
            visual_tokens=int((inputs["input_ids"] == processor.image_token_id).sum()),
            convention=self.convention,
            note="" if square else "The image was padded to a square.",
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
        reader = _Blocks(max(len(images) - 1, 0))

        def read(match: re.Match[str]) -> None:
            label = (match["label"] or "").strip() or "text"
            reader.block(label, shapes(match["places"], SIDE, closed=match["closed"] is not None))

        read_markup(text, reader, TAGS.whole, read, opened=TAGS.opened, control=_CONTROL, end=self.end)
        if self.end in text:
            reader.close()
        return reader.parsed()

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        return "\n\n".join(_block(self, one) for one in regions)


_CONTROL = (*OTHER, *TAGS.tokens)


class _Blocks(Reader):
    """Blocks of a page: a kind and a place, then the text, to a blank line or the next block.

    A block's region is known when its text is complete: it holds that text.
    """

    def __init__(self, image: int) -> None:
        super().__init__(image)
        self._open: tuple[str, list[Shape], int] | None = None

    def block(self, kind: str, places: list[Shape]) -> None:
        self.close()
        super().prose("\n")
        self._open = (kind, places, len(self.out))

    def prose(self, text: str) -> None:
        blank = _BLANK_LINE.search(text) if self._open else None
        if blank is None:
            super().prose(text)
            return
        super().prose(text[: blank.start()])
        self.close()
        super().prose(text[blank.start() :])

    def close(self) -> None:
        if self._open is None:
            return
        (kind, places, start), self._open = self._open, None
        content = self.out[start:].lstrip(" \n,")
        if content:
            self.read(kind, places, content)
        else:
            self.thing(kind, *places)

    def read(self, kind: str, places: list[Shape], content: str) -> None:
        """The places of `content`, which was just written."""
        count = len(self._regions)
        self.behind(content, *places, read=content)
        self._regions[count:] = [replace(one, label=kind) for one in self._regions[count:]]


def _block(family: DeepseekOcr2, region: Region) -> str:
    kind = region.label if region.text else "text"
    ((_, boxes),) = labelled_boxes(family, [region], SIDE)
    return f"<|ref|>{kind}<|/ref|><|det|>{boxes}<|/det|>\n{region.text or region.label}"


FAMILY = DeepseekOcr2()
