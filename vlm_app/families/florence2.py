"""Florence-2 (Microsoft): one encoder-decoder that captions, detects, grounds, segments and reads.

Its fifteen task tokens are sentences to the model; which stands for what is in transformers'
`Florence2Processor`. A query may begin with a task token, which then takes the place of
the usual one for its task: DETECT with `<DENSE_REGION_CAPTION>`. A region is asked about
by its location tokens or by four fractions of the image, x first.

It writes `wheel<loc_709><loc_576><loc_865><loc_772>`: bins of a thousandth of a side, of
which the middle counts; eight of them are the corners of a line of text, and outlines
stand in `<poly>…</poly>` or bare, with `<sep>` between the parts.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size, held
from vlm_app.families.prompted import PromptedFamily
from vlm_app.families.reading import Reader, asked_box, box, corners, polygon
from vlm_app.families.templated import token_ids
from vlm_app.grounding import bounds
from vlm_app.types import Picture, Point, Region, Role, Seen, Shape, Task, Turn

_BINS = 1000
_START, _END = "<s>", "</s>"
# Task token -> the sentence that the model is asked with. The first of a task is the usual one.
_CAPTION = {
    "<CAPTION>": "What does the image describe?",
    "<DETAILED_CAPTION>": "Describe in detail what is shown in the image.",
    "<MORE_DETAILED_CAPTION>": "Describe with a paragraph what is shown in the image.",
}
_DETECT = {
    "<OD>": "Locate the objects with category name in the image.",
    "<OPEN_VOCABULARY_DETECTION>": "Locate {} in the image.",
    "<DENSE_REGION_CAPTION>": "Locate the objects in the image, with their descriptions.",
    "<REGION_PROPOSAL>": "Locate the region proposals in the image.",
}
_GROUND = {"<CAPTION_TO_PHRASE_GROUNDING>": "Locate the phrases in the caption: {}"}
_SEGMENT = {
    "<REFERRING_EXPRESSION_SEGMENTATION>": "Locate {} in the image with mask",
    "<REGION_TO_SEGMENTATION>": "What is the polygon mask of region {}",
}
_REGION = {
    "<REGION_TO_DESCRIPTION>": "What does the region {} describe?",
    "<REGION_TO_CATEGORY>": "What is the region {}?",
}
_OCR = {"<OCR>": "What is the text in the image?", "<REGION_TO_OCR>": "What text is in the region {}?"}
_PROMPTS: dict[Task, dict[str, str]] = {
    Task.CAPTION: _CAPTION,
    Task.DETECT: _DETECT,
    Task.COUNT: _DETECT,
    Task.GROUND: _GROUND,
    Task.SEGMENT: _SEGMENT,
    Task.OCR: _OCR,
    Task.OCR_REGIONS: {"<OCR_WITH_REGION>": "What is the text in the image, with regions?"},
    Task.DESCRIBE_REGION: _REGION,
}
_TASK_TOKENS = tuple(itertools.chain.from_iterable(_PROMPTS.values()))
_LOC = r"<loc_\d{1,3}>"
_ABOUT_REGION = {*_REGION, "<REGION_TO_SEGMENTATION>", "<REGION_TO_OCR>"}
_REGION_PROMPT = re.compile(
    "|".join(
        re.escape(sentence).replace(r"\{\}", f"(?:{_LOC}){{4}}")
        for form in _PROMPTS.values()
        for token, sentence in form.items()
        if token in _ABOUT_REGION
    )
)
_OTHER: tuple[str, ...] = (
    _START,
    _END,
    "<pad>",
    "<unk>",
    "<mask>",
    "<image>",
    "<od>",
    "</od>",
    "<ocr>",
    "</ocr>",
)
_OTHER += ("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>")
_OTHER += ("<seg>", "</seg>", "<region_cap>", "</region_cap>", "<poly>", "</poly>", "<sep>")
_STOPS = ".,;:!?)"
_TOKENS = (*_OTHER, *(f"<loc_{n}>" for n in range(_BINS)))
_TOKEN = re.compile("|".join((r"<loc_(\d{1,3})>", *map(re.escape, _OTHER))))


class Florence2(PromptedFamily):
    name = "florence2"
    title = "Florence-2"
    native = "Florence2ForConditionalGeneration"
    model_types = frozenset({"florence2"})
    max_images = 1
    last_message_only = True
    tasks = frozenset(_PROMPTS)
    convention = "bins of 1/1000 of the image, x first"
    grid = _BINS
    outlined = frozenset({Task.SEGMENT, Task.OCR_REGIONS})
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_tower",
        "connector": "model.multi_modal_projector",
        "language": "model.language_model",
    }
    end = _END

    def prompt(self, task: Task, query: str) -> str:
        forms = _PROMPTS[task]
        token, subject = _command(task, query)
        if task in (Task.DETECT, Task.COUNT) and not token and subject:
            # One class has its own task; several are named as a caption names them.
            classes = [part.strip() for part in re.split("[,;]", subject) if part.strip()]
            if len(classes) > 1:
                return _GROUND["<CAPTION_TO_PHRASE_GROUNDING>"].format(". ".join(classes) + ".")
            token, subject = "<OPEN_VOCABULARY_DETECTION>", "".join(classes)
        token = token or next(iter(forms))
        if token in _ABOUT_REGION:
            return forms[token].format(_region_tokens(subject))
        if "{}" in forms[token] and not subject:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'dog'."
            )
        return forms[token].format(subject)

    def compose(self, turns: Sequence[Turn], task: Task) -> str:
        asked = next(turn.text for turn in reversed(turns) if turn.role is Role.USER)
        plain = re.sub("[\U000f0000\U000f0001]", "", asked)
        # The places in a question about a region are ours; nothing that was typed is in it.
        return plain if _REGION_PROMPT.fullmatch(plain) else asked

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        """As `Florence2Processor` does it, which refuses a question that names a task token."""
        import torch

        tokenizer = processor.tokenizer
        images = processor.image_processor([one.pixels for one in pictures], return_tensors="pt")
        body = f"{_START}{prompt}{_END}"
        ids = [processor.image_token_id] * (processor.num_image_tokens * len(pictures))
        ids += token_ids(tokenizer, body)
        input_ids = torch.tensor([ids])
        return {
            "input_ids": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "pixel_values": images["pixel_values"],
        }

    def seen(self, processor: Any, pictures: Sequence[Picture], inputs: dict[str, Any]) -> Seen:
        height, width = inputs["pixel_values"].shape[-2:]
        return Seen(
            size=(int(width), int(height)),
            visual_tokens=int(processor.num_image_tokens),
            convention=self.convention,
        )

    def append_answer(self, processor: Any, inputs: dict[str, Any], text: str, *, labelled: bool) -> None:
        """The answer is the decoder's: `<s>…</s>` to learn, or behind its start token to go on from."""
        import torch

        tokenizer = processor.tokenizer
        ids = token_ids(tokenizer, _START + text.removeprefix(_START).lstrip())
        if labelled:
            inputs["labels"] = torch.tensor([ids])
        else:  # the decoder starts with the end token, as BART's does
            inputs["decoder_input_ids"] = torch.tensor([[tokenizer.eos_token_id, *ids]])

    def nothing(self, task: Task, query: str) -> str:
        return ""

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        task = asked[0] if asked else Task.DETECT
        if any(isinstance(one.shape, Point) for one in regions):
            return super().write(regions, image_size=image_size, input_size=input_size, asked=asked)
        if task is Task.SEGMENT:
            return "".join(f"<poly>{_locations(_outline(one.shape))}</poly>" for one in regions)
        if task is Task.OCR_REGIONS:
            return "".join((one.text or one.label) + _locations(_quad(one.shape)) for one in regions)
        groups = itertools.groupby(regions, key=lambda one: one.label)
        return "".join(label + "".join(map(_place, group)) for label, group in groups)

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        answer = _Answer(asked or (Task.CHAT, ""), max(len(images) - 1, 0))
        text = text.removeprefix(_END)  # the decoder's start token, where a backend shows it
        position = 0
        text = held(text, _TOKENS)
        for token in _TOKEN.finditer(text):
            answer.text(text[position : token.start()])
            answer.token(token.group(), token.group(1))
            position = token.end()
            if token.group() == _END:
                return answer.parsed()
        answer.text(text[position:])
        return answer.parsed()


class _Answer:
    """Reads an answer from left to right: words, and the places that belong to the words before."""

    def __init__(self, asked: Asked, image: int) -> None:
        self._task, query = asked
        self._reader = Reader(image)
        self._subject = _subject(self._task, query)
        self._words = ""  # since the last place: its label
        self._label: str | None = None  # of the places that are read
        self._places: list[float] = []
        self._outlined = False  # between <poly> and </poly>

    def parsed(self) -> Parsed:
        return self._reader.parsed()

    def text(self, text: str) -> None:
        if text.strip():
            self._close()
            self._outlined = False
            if not self._words.strip() and self._label is not None:  # one label after another
                text = text.lstrip()
                text = text if text[0] in _STOPS else f", {text}"
        self._words += text
        self._reader.prose(text)

    def token(self, token: str, number: str | None) -> None:
        if number is not None:
            self._places.append((int(number) + 0.5) / _BINS)
            if len(self._places) == self._numbers():
                self._close()
        elif token in ("<poly>", "</poly>", "<sep>", _END):
            self._close()
            self._outlined = token == "<poly>" or (self._outlined and token == "<sep>")

    def _numbers(self) -> int:
        """How many numbers make a shape; 0: an outline of as many as there are."""
        if self._outlined or self._task is Task.SEGMENT:
            return 0
        return 8 if self._task is Task.OCR_REGIONS else 4

    def _close(self) -> None:
        """End the open shape; a box without its four numbers is none."""
        places, self._places = self._places, []
        if not places:
            return
        if words := self._words.lstrip(f"{_STOPS} \n").rstrip():
            self._label = words
        self._words = ""
        outline = not self._numbers() or len(places) == 8
        shape: Shape | None = polygon(places, 1, 1) if outline else box(places, 1, 1)
        if shape is None:
            return
        if self._label is None:
            self._label = self._subject
            self._reader.prose(self._label)
        read = self._label if self._task is Task.OCR_REGIONS else None
        self._reader.behind(self._label, shape, read=read)


def _command(task: Task, query: str) -> tuple[str, str]:
    """The task token that a query begins with, or '', and the rest."""
    for token in _PROMPTS[task]:
        if query.upper().startswith(token):
            return token, query[len(token) :].strip()
    return "", query


def _subject(task: Task, query: str) -> str:
    """What an answer without a label is about."""
    for token in _TASK_TOKENS:
        query = query.removeprefix(token)
    return query.strip() if re.search(r"[^\W\d_]", re.sub(_LOC, "", query)) else "region"


def _region_tokens(subject: str) -> str:
    """A region in a question, given as four location tokens or four fractions of the image."""
    found = re.findall(_LOC, subject)
    return "".join(found) if len(found) == 4 else _locations(asked_box(subject).xyxy)


def _locations(values: Sequence[float]) -> str:
    return "".join(f"<loc_{min(int(value * _BINS), _BINS - 1)}>" for value in values)


def _place(region: Region) -> str:
    """A box as four locations, an outline between its tokens."""
    places = corners(region.shape)
    return _locations(places) if len(places) == 4 else f"<poly>{_locations(places)}</poly>"


def _outline(shape: Shape) -> Sequence[float]:
    places = corners(shape)
    return _around(places) if len(places) == 4 else places


def _quad(shape: Shape) -> Sequence[float]:
    """Four corners, clockwise from the upper left; of any other outline those of its box."""
    places = corners(shape)
    return places if len(places) == 8 else _around(bounds(shape).xyxy)


def _around(places: Sequence[float]) -> Sequence[float]:
    x0, y0, x1, y1 = places
    return (x0, y0, x1, y0, x1, y1, x0, y1)


FAMILY = Florence2()
