"""Pebble, the built-in model: drawn shapes, printed words, boxes and points.

It writes `<ref>label` followed by four location tokens (a box: x0 y0 x1 y1) or two (a
point: x y), alone or in prose; `<loc_n>` is (n + 0.5) / 256 of the image's side.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.errors import BadInput
from vlm_app.families.base import Asked, Parsed, Size, held
from vlm_app.families.reading import corners
from vlm_app.families.templated import TemplatedFamily
from vlm_app.pebble.markup import BINS, LOCATIONS, REF, region
from vlm_app.pebble.spelling import plain, spelt
from vlm_app.types import Box, Picture, Point, Region, Seen, Task, Turn

UNKNOWN_WORLD = "Pebble only knows drawn shapes; this answer is likely wrong."
_SIDE = 256
_LONGEST_LABEL = 200  # characters: more than that was no label but prose after a stray <ref>
_END = "<end_of_utterance>"
_OTHER = (
    "<|im_start|>",
    "<|im_end|>",
    "<fake_token_around_image>",
    "<global-img>",
    "<image>",
    "<video>",
    "<pad>",
    "<unk>",
)
_TOKENS = (REF, *LOCATIONS, _END, *_OTHER)
_LOC = r"<loc_(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)>"
_TOKEN = re.compile("|".join((re.escape(REF), _LOC, re.escape(_END), *map(re.escape, _OTHER))))
_PROMPTS = {
    Task.CAPTION: "Describe the image.",
    Task.DETECT: "Detect {}.",
    Task.GROUND: "Find {}.",
    Task.POINT: "Point to {}.",
    Task.COUNT: "Count {}.",
    Task.OCR: "Read the text.",
    Task.OCR_REGIONS: "Read the text with places.",
}


class Pebble(TemplatedFamily):
    name = "pebble"
    title = "Pebble"
    verified = "2026-11-21, AMD EPYC, 2 cores"
    native = "SmolVLMForConditionalGeneration"
    convention = f"0–{BINS - 1} of the image, x first"
    grid = BINS
    pointed = frozenset({Task.POINT, Task.COUNT})
    phrases = True
    closeups = False
    tasks = frozenset({Task.CHAT, *_PROMPTS})
    lora_towers: ClassVar[Mapping[str, str]] = {
        "vision": "model.vision_model",
        "connector": "model.connector",
        "language": "model.text_model",
    }
    end = _END
    markup = re.compile(f"{re.escape(REF)}|{_LOC}")

    def prompt(self, task: Task, query: str) -> str:
        if "{}" in _PROMPTS[task] and not query and task is not Task.DETECT:
            raise BadInput(
                f"The task '{task}' needs to know what to look for: give it a query, such as 'red circle'."
            )
        several = ", ".join(part.strip() for part in re.split("[,;]", query) if part.strip())
        return _PROMPTS[task].format(several or "everything")

    def seen(self, processor: Any, pictures: Sequence[Picture], options: dict[str, Any]) -> Seen:
        from vlm_app.pebble.world_check import looks_drawn

        if not pictures:
            return Seen()
        return Seen(
            size=(_SIDE, _SIDE),
            visual_tokens=processor.image_seq_len,
            convention=self.convention,
            note="" if looks_drawn(pictures[-1].pixels) else UNKNOWN_WORLD,
        )

    def process(
        self, processor: Any, prompt: str, pictures: Sequence[Picture], options: dict[str, Any]
    ) -> dict[str, Any]:
        import torch

        inputs = super().process(processor, prompt, pictures, options)
        ids = inputs["input_ids"]
        inputs["input_ids"] = torch.tensor([spelt(processor.tokenizer, ids[0].tolist())], dtype=ids.dtype)
        inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        return inputs

    def _answer_ids(
        self, processor: Any, turns: Sequence[Turn], prompt: str, text: str, *, closed: bool
    ) -> list[int]:
        return spelt(processor.tokenizer, super()._answer_ids(processor, turns, prompt, text, closed=closed))

    def lettered(self, raw: str) -> str:
        written, start = "", 0
        for token in self.markup.finditer(raw):
            written += _in_letters(raw[start : token.start()]) + token.group()
            start = token.end()
        return written + _in_letters(raw[start:])

    def nothing(self, task: Task, query: str) -> str:
        if task is Task.COUNT:
            return "Total: 0."
        return f"There is no {query}." if query else "There are no shapes."

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        task = asked[0] if asked else Task.CHAT
        told = regions if task is Task.OCR_REGIONS else sorted(regions, key=_from_the_left)
        written = "".join(region(one.text or one.label, corners(one.shape)) for one in told)
        return f"{written} Total: {len(regions)}." if task is Task.COUNT else written

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        reader = _Reader(asked or (Task.CHAT, ""), max(len(images) - 1, 0))
        text = held(text, _TOKENS)
        position = 0
        for token in _TOKEN.finditer(text):
            reader.text(text[position : token.start()])
            reader.token(token.group(), token.group(1))
            position = token.end()
            if token.group() == _END:
                return reader.parsed()
        reader.text(text[position:])
        return reader.parsed()


def _in_letters(words: str) -> str:
    """Words between markup in Pebble's letters. Raises `BadInput` where none of them is left."""
    written = plain(words)
    if any(map(str.isalnum, words)) and not any(map(str.isalnum, written)):
        raise BadInput(
            f"Pebble writes letters from A to Z and digits, and has none for '{words.strip()[:40]}': write "
            "it otherwise, or leave this example out."
        )
    return written


def _from_the_left(one: Region) -> tuple[float, float]:
    """The order in which its world names things: an order of chance would have to be guessed anew."""
    places = corners(one.shape)
    return min(places[::2]) + max(places[::2]), min(places[1::2]) + max(places[1::2])


class _Reader:
    """Reads an answer from left to right. What was written is never taken back.

    Spaces are held until something follows them, an object until it is closed.
    """

    def __init__(self, asked: Asked, image: int) -> None:
        self._task, self._query = asked
        self._image = image
        self._out = ""
        self._gap = ""  # white space that waits for what follows
        self._named = False  # nothing was written since the last object
        self._label: str | None = None  # of the object that is open
        self._places: list[float] = []
        self._regions: list[Region] = []

    def parsed(self) -> Parsed:
        return Parsed(self._out, tuple(self._regions))

    def text(self, text: str) -> None:
        if not text:
            return
        if self._label is None or self._places:
            self._close()
            self._prose(text)
        elif len(self._label) + len(text) > _LONGEST_LABEL:
            text, self._label = self._label + text, None
            self._prose(text)
        else:
            self._label += text

    def token(self, token: str, number: str | None) -> None:
        if number is None:
            self._close()
            self._label = "" if token == REF else None
        elif self._label is not None:  # a place without a label is dropped
            self._places.append((int(number) + 0.5) / BINS)
            if len(self._places) == 4:
                self._close()

    def _prose(self, text: str) -> None:
        body = self._gap + text
        words = body.rstrip()
        self._gap = body[len(words) :]
        if not words:
            return
        if not self._out:
            words = words.lstrip()
        elif self._named and words[0].isspace() and words.lstrip()[0].isupper():
            self._out += "."  # '<ref>circle… Total: 3.' is a list and then a sentence
        self._out += words
        self._named = False

    def _close(self) -> None:
        """End the open object; one without two or four places leaves its label as text."""
        if self._label is None:
            return
        label, places = self._label.strip(), self._places
        self._label, self._places = None, []
        span = self._name(label) if label else None
        if len(places) not in (2, 4):
            return
        shape = Point(places[0], places[1]) if len(places) == 2 else _box(places)
        read = label if self._task is Task.OCR_REGIONS else None
        self._regions.append(Region(label or self._query or "object", shape, self._image, read, span=span))

    def _name(self, label: str) -> tuple[int, int]:
        """Write an object's label: after another object behind a comma, in prose as it stands."""
        if self._out:
            self._out += ", " if self._named else self._gap
        self._gap = ""
        start = len(self._out)
        self._out += label
        self._named = True
        return (start, len(self._out))


def _box(places: Sequence[float]) -> Box:
    """Corners in either order."""
    x0, y0, x1, y1 = places
    return Box(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


FAMILY = Pebble()
