"""What a chat is made of, as the page sees it. All of it is frozen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from vlm_app.types import Answer, Part, Picture, Sampling, Task, Turn

TITLE_LENGTH = 60
PAGE = re.compile(r"Page \d+ of .+:")  # the text that stands before a page of a document


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    `media` are the media ids of `turn.pictures`, in their order. `answer` is set for the
    assistant's messages only: the current one, with its vote (-1, 0 or 1) and the number of
    other answers that were given in its place; where there are any, `given` holds all of them,
    the oldest first. `taught` is the example that was made of the current answer. `task` and
    `query` say what a user's message asked for.
    """

    id: str
    turn: Turn
    media: tuple[str, ...]
    answer: Answer | None
    vote: int
    alternatives: int
    created: datetime
    task: Task = Task.CHAT
    query: str = ""
    given: tuple[Alternative, ...] = ()
    taught: Taught | None = None


class How(StrEnum):
    """How an answer became an example to learn from."""

    APPROVED = "approved"
    REJECTED = "rejected"
    CORRECTED = "corrected"
    PREFERRED = "preferred"  # to another answer to the same message


@dataclass(frozen=True, slots=True)
class Taught:
    """The example that a person made of an answer: its id and that of its dataset.

    `text` is the correction, where it was corrected. `own` says that the example is there because
    of this answer: one that its dataset held before stays when this is taken back.
    """

    how: How
    dataset: str
    example: str
    text: str = ""
    own: bool = True


@dataclass(frozen=True)
class ChatSettings:
    """Who answers, and how. `task` is the one that the page offers first.

    `precision` is 'auto' or one of the engine's, `adapter` the id of one that is attached, or None.
    """

    model: str
    system: str = ""
    sampling: Sampling = field(default_factory=Sampling)
    task: Task = Task.CHAT
    pixels: int | None = None
    precision: str = "auto"
    adapter: str | None = None

    def __post_init__(self) -> None:
        if self.pixels is not None and self.pixels < 1:
            raise ValueError(f"a pixel budget is at least 1 pixel, found {self.pixels}")


@dataclass(frozen=True)
class Conversation:
    """A chat with the messages that are shown; `Region.image` counts `pictures`."""

    id: str
    owner: str
    title: str
    settings: ChatSettings
    messages: tuple[Message, ...]
    created: datetime
    updated: datetime

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All images of the conversation, in order."""
        return tuple(picture for message in self.messages for picture in message.turn.pictures)

    @property
    def media(self) -> tuple[str, ...]:
        """Their media ids, in the same order."""
        return tuple(media for message in self.messages for media in message.media)


@dataclass(frozen=True)
class Alternative:
    """One of the answers that were given to the same message; one of them is shown."""

    answer: Answer
    vote: int
    shown: bool
    taught: Taught | None = None


@dataclass(frozen=True)
class Summary:
    """A line of the list of chats."""

    id: str
    title: str
    updated: datetime


@dataclass(frozen=True)
class Progress:
    """A step of an answer.

    While it is being written, `conversation` ends with the user's message that is answered and
    `answer` holds what there is so far. When `done`, the conversation ends with the answer.
    An answer that is written `beside` another leaves that one at the conversation's end.
    """

    conversation: Conversation
    answer: Answer
    done: bool
    beside: bool = False


def title_of(parts: Sequence[Part], task: Task, query: str) -> str:
    """The first words of a message; what is asked of its image; or how many images it has."""
    texts = (part for part in parts if isinstance(part, str) and not PAGE.fullmatch(part))
    words = " ".join(texts).split()
    if not words and task is not Task.CHAT:
        words = [task.replace("_", " ").capitalize(), *query.split()]
    if not words:
        images = sum(1 for part in parts if isinstance(part, Picture))
        return "Image" if images == 1 else f"{images} images"
    return shortened(" ".join(words))


def shortened(title: str) -> str:
    """One line of at most `TITLE_LENGTH` characters, cut between words where there are any."""
    title = " ".join(title.split())
    if len(title) <= TITLE_LENGTH:
        return title
    head = title[: TITLE_LENGTH - 1]
    return (head.rsplit(" ", 1)[0] if " " in head[TITLE_LENGTH // 2 :] else head) + "…"
