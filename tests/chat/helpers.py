"""Short ways to say what the tests of a chat say often."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from PIL import Image

from vlm_app.chat import Chats, Conversation, Message, Progress
from vlm_app.media import picture_from
from vlm_app.types import Answer, Part, Picture

OWNER = "ada"


def picture(colour: str = "red", size: tuple[int, int] = (8, 6)) -> Picture:
    return picture_from(Image.new("RGB", size, colour))


def last(progress: Iterable[Progress]) -> Progress:
    """The last step of an answer."""
    *_, step = progress
    assert step.done
    return step


def said(chats: Chats, *parts: Part, to: Conversation | None = None, **options: Any) -> Conversation:
    """The conversation after one more message and its answer."""
    conversation = to or chats.new(OWNER)
    return last(chats.send(conversation.owner, conversation, parts, **options)).conversation


def answer_of(message: Message) -> Answer:
    assert message.answer is not None
    return message.answer


def texts(conversation: Conversation) -> list[str]:
    return [message.turn.text for message in conversation.messages]
