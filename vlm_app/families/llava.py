"""LLaVA-1.5 (Liu et al., 2023): CLIP at 336 pixels, an MLP, Vicuna; chat in words.

Its own code pads an image to a square with the encoder's mean colour (`expand2square` in
github.com/haotian-liu/LLaVA, llava/mm_utils.py); the processor of the converted
checkpoints cuts the middle out instead, so the padding is done here. Asked for a box it
writes `[0.61, 0.36, 0.92, 0.83]`, fractions of what it saw. That convention is reported
by users and documented nowhere: such boxes are read in a chat, and no task promises them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.reading import Reader, numbers, read_markup
from vlm_app.families.words import READS, TemplatedInWords, last_run
from vlm_app.types import Box, Picture, Seen, Task

if TYPE_CHECKING:
    from PIL.Image import Image

_NUMBER = r"\s*(?:0?\.\d{1,4}|[01](?:\.\d{1,4})?)\s*"
_BOX = re.compile(rf"\[(?=[^\]]*\.)({_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER})\]")
_OPENED = re.compile(r"\[[\d\s.,]{0,60}\Z")
_CONVENTION = "0–1 of the image padded to a square, where it writes boxes (reported by users)"


class Llava(TemplatedInWords):
    name = "llava"
    title = "LLaVA-1.5"
    native = "LlavaForConditionalGeneration"
    model_types = frozenset({"llava"})
    servers = ("vLLM", "llama.cpp", "Ollama")
    text_only = True
    tasks = frozenset({Task.CHAT, *READS})
    end = "</s>"
    control = ("<s>", "<image>", "<pad>", "<unk>")
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        images = [padded(picture.pixels, processor.image_processor.image_mean) for picture in pictures]
        more = {"images": images} if images else {}
        return dict(
            processor(
                text=[prompt],
                **more,
                add_special_tokens=False,
                sanitize_control_tokens=True,
                return_tensors="pt",
            )
        )

    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        return Seen(
            size=(width, height),
            visual_tokens=last_run(inputs, processor.image_token_id),
            convention=_CONVENTION,
            note="" if pictures[-1].size[0] == pictures[-1].size[1] else "The image was padded to a square.",
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
        reader = Reader(max(len(images) - 1, 0))
        # A server gets the image as it is, and some cut the middle out: then nobody knows the square.
        square = input_size is None or input_size[0] == input_size[1]

        def read(found: re.Match[str]) -> None:
            reader.prose(found.group())  # part of a sentence as it stands
            values = numbers(re.sub(r"(?<!\d)\.", "0.", found.group(1)))
            reader.behind("", in_square(values, image_size) if square else None)

        return read_markup(text, reader, _BOX, read, opened=_OPENED, control=self.control, end=self.end)


def padded(image: Image, mean: Sequence[float]) -> Image:
    """The image in the middle of a square of the encoder's mean colour (fractions of 255)."""
    from PIL import Image as Images

    side = max(image.size)
    if image.size == (side, side):
        return image
    square = Images.new("RGB", (side, side), tuple(int(value * 255) for value in mean))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def in_square(values: Sequence[float], size: Size) -> Box | None:
    """The box x0, y0, x1, y1 in fractions of the padded square; None where it lies on the padding."""
    if len(values) != 4:
        return None
    side = max(size)
    places = []
    for index, value in enumerate(values):
        length = size[index % 2]
        place = (value * side - (side - length) // 2) / length
        places.append(min(max(place, 0.0), 1.0))
    xs, ys = sorted(places[0::2]), sorted(places[1::2])
    return Box(xs[0], ys[0], xs[1], ys[1]) if xs[0] < xs[1] and ys[0] < ys[1] else None


FAMILY = Llava()
