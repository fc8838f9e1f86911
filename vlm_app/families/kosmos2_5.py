"""KOSMOS-2.5 (Microsoft): the text of a document, as lines with boxes or as Markdown.

`<ocr>` writes `<bbox><x_53><y_573><x_69><y_606></bbox>1` and a new line for each line of text, in
pixels of the resized image, whose height and width the processor returns; `<md>` writes Markdown
(transformers' docs of kosmos2_5 and the model card).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Parsed, Size
from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.reading import Reader, box, read_markup, scaled
from vlm_app.grounding import bounds
from vlm_app.types import Picture, Point, Region, Seen, Task, Turn

_END = "</s>"
_PROMPTS = {Task.OCR: "<md>", Task.OCR_REGIONS: "<ocr>"}
_PLACES = r"<bbox><x_(\d{1,5})><y_(\d{1,5})><x_(\d{1,5})><y_(\d{1,5})></bbox>"
_LINE = r"(?P<line>[^\n<]*(?:<(?!bbox>)[^\n<]*)*)"
_CLOSED = re.compile(rf"{_PLACES}{_LINE}(?:\n|(?=<bbox>|\Z))")
_WHOLE = re.compile(rf"{_PLACES}{_LINE}(?:\n|(?=<bbox>))")
_OPENED = re.compile(
    rf"{_PLACES}[^\n]*\Z|<bbox>(?:<[xy]_\d{{1,5}}>)*(?:<[^>\n]*)?\Z|<(?:b?b?o?x?|/?[a-z]*)\Z"
)
_NEVER = re.compile("(?!)")
_CONTROL = ("<bbox>", "</bbox>", "<ocr>", "<md>", "<image>", "</image>", "<s>", "<pad>", "<unk>")


class Kosmos25(PromptedFamily):
    name = "kosmos2_5"
    title = "KOSMOS-2.5"
    native = "Kosmos2_5ForConditionalGeneration"
    model_types = frozenset({"kosmos-2.5"})
    max_images = 1
    last_message_only = True
    tasks = frozenset(_PROMPTS)
    convention = "pixels of the resized image, x first"
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "vision_model",
        "connector": "image_to_text_projection",
        "language": "text_model",
    }
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        return _PROMPTS[task]

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        return _PROMPTS.get(task, _PROMPTS[Task.OCR_REGIONS])  # it takes no other words

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        most = processor.image_processor.max_patches  # the call would take 4096 otherwise
        image = pictures[-1].pixels
        return dict(processor(text=prompt, images=image, max_patches=most, return_tensors="pt"))

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        width, height = (int(inputs.pop(side)[0]) for side in ("width", "height"))
        tokens = int(processor.num_image_tokens)
        return Seen(size=(width, height), visual_tokens=tokens, convention=self.convention)

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        if any(isinstance(one.shape, Point) for one in regions):
            return super().write(regions, image_size=image_size, input_size=input_size, asked=asked)
        width, height = input_size or image_size
        lines = []
        for one in regions:
            x0, y0, x1, y1 = scaled(bounds(one.shape).xyxy, width, height)
            line = " ".join((one.text or one.label).split("\n"))
            lines.append(f"<bbox><x_{x0}><y_{y0}><x_{x1}><y_{y1}></bbox>{line}\n")
        return "".join(lines)

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
        width, height = input_size or image_size

        def read(match: re.Match[str]) -> None:
            line = match["line"].strip()
            places = [int(number) for number in match.groups()[:4]]
            reader.thing(line, box(places, width, height), read=line or None)

        closed = _END in text
        return read_markup(
            text,
            reader,
            _CLOSED if closed else _WHOLE,
            read,
            opened=_NEVER if closed else _OPENED,
            control=_CONTROL,
            end=_END,
        )


FAMILY = Kosmos25()
