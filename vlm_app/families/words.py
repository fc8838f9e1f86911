"""What families that answer in words share: nothing but control tokens is taken from an answer.

Also how one with a chat template says what its model saw: by counting in its inputs, so
that the numbers are those of the tensors and not of a second calculation.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from vlm_app.families.base import Asked, Family, Parsed, Size
from vlm_app.families.reading import Reader, read_markup
from vlm_app.families.served import ServedFamily
from vlm_app.families.templated import TemplatedFamily
from vlm_app.types import Clip, Picture, Role, Seen, Task, Turn

_NOTHING = re.compile("(?!)")
CAPTION = {Task.CAPTION: "Describe this image."}
READS = {**CAPTION, Task.OCR: "Transcribe the text in this image."}


class InWords(Family):
    """Asks in plain words, and reads the answer as words."""

    prompts: ClassVar[Mapping[Task, str]] = READS
    control: ClassVar[tuple[str, ...]] = ()  # tokens that are no words, besides `end`

    def prompt(self, task: Task, query: str) -> str:
        return self.prompts[task]

    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        return read_markup(
            text, Reader(), _NOTHING, lambda _: None, opened=_NOTHING, control=self.control, end=self.end
        )


class ServedInWords(InWords, ServedFamily):
    """A family without a class in transformers that answers in words."""


class TemplatedInWords(InWords, TemplatedFamily):
    """A family with a chat template that answers in words, and counts what the model saw."""

    plain_system: ClassVar[bool] = False  # whether the template takes a system prompt as a string only

    @abstractmethod
    def saw(self, processor: Any, pictures: Sequence[Picture], inputs: Mapping[str, Any]) -> Seen:
        """What the model sees of the last of `pictures` (there is one), read from the inputs."""

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        inputs, seen = super().encode(processor, turns, task=task, pixels=pixels, answer=answer)
        visual = [part for turn in turns for part in turn.parts if not isinstance(part, str)]
        pictures = [part for part in visual if isinstance(part, Picture)]
        if not visual or isinstance(visual[-1], Clip):
            return inputs, seen
        return inputs, self.saw(processor, pictures, inputs)

    def _render(self, processor: Any, turns: Sequence[Turn], prompt: bool = True) -> str:
        """The template's text, behind the token that the tokenizer puts first where the template does not."""
        render = super()._render if processor.chat_template else self._bare
        rendered = render(processor, turns, prompt)
        first = first_token(processor.tokenizer)
        return rendered if rendered.startswith(first) else first + rendered

    def _bare(self, processor: Any, turns: Sequence[Turn], prompt: bool) -> str:
        """What a base model, which has no template, goes on with: texts and images in their order."""
        said = []
        for turn in turns:
            parts = (
                self._marked(processor, part, turn.role) if isinstance(part, str) else processor.image_token
                for part in turn.parts
            )
            said.append("".join(parts))
        return " ".join(said)

    def _message(self, processor: Any, turn: Turn) -> dict[str, Any]:
        message = super()._message(processor, turn)
        if self.plain_system and turn.role is Role.SYSTEM:
            message["content"] = "".join(part["text"] for part in message["content"])
        return message


def first_token(tokenizer: Any) -> str:
    """The token with which the tokenizer begins every text by itself, or ''."""
    ids = tokenizer("a")["input_ids"]
    return str(tokenizer.bos_token) if ids and ids[0] == tokenizer.bos_token_id else ""


def count(inputs: Mapping[str, Any], token: int) -> int:
    """How often a token stands in the inputs."""
    return int((inputs["input_ids"] == token).sum())


def last_run(inputs: Mapping[str, Any], token: int) -> int:
    """The length of the last run of a token in the inputs: the last image's, where one lies between two."""
    ids: list[int] = inputs["input_ids"][0].tolist()
    last = len(ids) - ids[::-1].index(token)
    start = last
    while start and ids[start - 1] == token:
        start -= 1
    return last - start
