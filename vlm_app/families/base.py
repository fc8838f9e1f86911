"""What a model family is: how its models are asked and how their answers are read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from vlm_app.errors import ModelUnavailable
from vlm_app.types import Clip, Picture, Region, Role, Seen, Task, Turn

Size = tuple[int, int]  # (width, height) in pixels
Asked = tuple[Task, str]  # a task and what it was about


@dataclass(frozen=True, slots=True)
class Parsed:
    """An answer without its markup, and the regions that it names."""

    text: str
    regions: tuple[Region, ...] = ()


class Family(ABC):
    """One way of speaking. A family is one file of this folder and has no state.

    Adding one means adding a file that ends with `FAMILY = ItsClass()`.
    """

    name: ClassVar[str]  # the file's name and the catalog's key
    title: ClassVar[str] = ""  # what people call it
    tasks: ClassVar[frozenset[Task]]
    model_types: ClassVar[frozenset[str]] = frozenset()  # `model_type` of a config that is this family's
    native: ClassVar[str] = ""  # its class in transformers; empty: none, it runs on a server
    package: ClassVar[str] = ""  # the Python package that runs it here; empty: transformers or a server does
    servers: ClassVar[tuple[str, ...]] = ()  # common servers that load it: vLLM, llama.cpp, Ollama ...
    verified: ClassVar[str] = ""  # when and on what machine real weights were run; empty: not yet
    max_images: ClassVar[int | None] = None  # in one conversation; None: no limit of its own
    video: ClassVar[bool] = False  # whether models of it take video, here or on a server
    native_video: ClassVar[bool] = (
        False  # whether `encode` takes a clip as a video; else its frames are images
    )
    text_only: ClassVar[bool] = False  # whether it can chat without an image
    last_message_only: ClassVar[bool] = False  # whether it reads nothing of what was said before
    closeups: ClassVar[bool] = True  # whether it knows things that fill the image
    pixel_budget: ClassVar[bool] = False  # whether `pixels` of `encode` changes what the model sees
    # Tower -> the module of the model that LoRA may touch; some checkpoints of a family have fewer of them.
    lora_towers: ClassVar[Mapping[str, str]] = {}
    end: ClassVar[str] = ""  # the token that closes an answer
    convention: ClassVar[str] = ""  # how it writes coordinates, in words; empty: it writes none
    grid: ClassVar[int] = 0  # units of its coordinates over a side; 0: pixels of what the model saw
    pointed: ClassVar[frozenset[Task]] = frozenset({Task.POINT})  # tasks that it answers with points
    outlined: ClassVar[frozenset[Task]] = frozenset()  # tasks that it answers with outlines
    phrases: ClassVar[bool] = False  # whether what `write` says of a phrase may stand in prose

    @abstractmethod
    def prompt(self, task: Task, query: str) -> str:
        """The family's words for one of its tasks; `query` is what the task is about."""

    @abstractmethod
    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        """The model's inputs (tensors on the CPU, a batch of one) and what it will see.

        The turns are taken as they are: the words of a task come from `ask`; clips are among
        their parts only where `takes` says so, and just their frames are used. What a user
        typed never becomes a control token. When the last turn is the assistant's, the
        inputs end with its text, unfinished. `pixels` is the most pixels of an image that
        the model may see, where the family allows a choice. With `answer` (raw, as the
        model should write it) the inputs go on with it and its end token, and `labels`
        holds those tokens, and -100 over the prompt.
        """

    @abstractmethod
    def parse(
        self,
        text: str,
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
        images: Sequence[Size] = (),
    ) -> Parsed:
        """What a raw answer says. Pure, and never raises on anything a model may write.

        `image_size` is (width, height) of the upright original, `input_size` of what the
        model saw, `asked` the task and its query, `images` the sizes of all images of the
        conversation. The text of a longer answer starts with the text of a shorter one,
        and its regions with the same regions: unfinished markup is held back.
        """

    def takes(self, turns: Sequence[Turn]) -> bool:
        """Whether `encode` takes the clips of these turns as videos, or wants their frames as images.

        A single frame is no video: some processors pair frames.
        """
        return self.native_video and all(
            len(clip.frames) > 1 and len({frame.size for frame in clip.frames}) == 1 for clip in clips(turns)
        )

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
        """As `parse`, of an answer about clips that `encode` took as videos.

        `times` are the seconds of each of `images`, None for those that are no frames.
        """
        return self.parse(text, image_size=image_size, input_size=input_size, asked=asked, images=images)

    def sent_size(self, size: Size) -> Size:
        """The size in which an image of `size` is sent to a server that resizes images itself.

        Where coordinates are pixels of what the model saw, it is one that the model's own
        processor leaves as it is; elsewhere any will do.
        """
        return size

    def write(
        self,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
        asked: Asked | None = None,
    ) -> str:
        """The raw answer that names these regions, as the model itself would write it.

        The inverse of `parse`, with the same sizes: what training examples are made of.
        Raises `ModelUnavailable` where the family cannot write such regions.
        """
        raise ModelUnavailable(
            f"{self.title or self.name} writes no such regions: choose a model that does, "
            "or ask for the answer in words."
        )

    def grounded(
        self,
        before: str,
        words: str,
        regions: Sequence[Region],
        *,
        image_size: Size,
        input_size: Size | None = None,
    ) -> str | None:
        """Prose that goes on with `words`, tied to their places; None where the family has no such form."""
        if not self.phrases:
            return None
        named = [replace(one, label=words, text=None) for one in regions]
        asked = (Task.CHAT, "")
        return before + self.write(named, image_size=image_size, input_size=input_size, asked=asked)

    def nothing(self, task: Task, query: str) -> str:
        """The raw answer to a task that looks for things, where there are none."""
        return "There are none."

    def lettered(self, raw: str) -> str:
        """A raw answer in the letters that the model can learn to write.

        Raises `BadInput` where it has none for a part of it.
        """
        return raw

    def ask(self, task: Task, query: str = "") -> str:
        """The text that asks for a task; for CHAT the query itself.

        Raises `ModelUnavailable` when the family cannot do the task, and `BadInput` when
        the task needs a query and there is none.
        """
        if task not in self.tasks:
            able = ", ".join(sorted(self.tasks))
            raise ModelUnavailable(f"This model cannot do '{task}': it can do {able}; choose one of these.")
        return query if task is Task.CHAT else self.prompt(task, " ".join(query.split()).rstrip(".,;:!? "))

    def unfinished(self, turns: Sequence[Turn]) -> str:
        """The text from which the answer goes on: the last turn's if it is the assistant's, or ''."""
        if not turns or turns[-1].role is not Role.ASSISTANT:
            return ""
        return self.open(turns[-1].text).lstrip()

    def open(self, text: str) -> str:
        """An assistant's text without the token that closed it, and what came after."""
        return text.partition(self.end)[0] if self.end else text


def clips(turns: Sequence[Turn]) -> tuple[Clip, ...]:
    """All clips of a conversation."""
    return tuple(part for turn in turns for part in turn.parts if isinstance(part, Clip))


def alone(turns: Sequence[Turn]) -> bool:
    """Whether no picture stands beside the clips: some models mark images and frames by the same token."""
    return not any(isinstance(part, Picture) for turn in turns for part in turn.parts)


def held(text: str, tokens: Iterable[str]) -> str:
    """`text` without a last piece that may still become one of `tokens`."""
    start = text.rfind("<")
    if start < 0:
        return text
    tail = text[start:]
    unfinished = any(len(tail) < len(token) and token.startswith(tail) for token in tokens)
    return text[:start] if unfinished else text
