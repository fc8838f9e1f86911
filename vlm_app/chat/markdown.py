"""A chat for reading: Markdown with small images inside, so that the file stands alone."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from vlm_app.chat.conversation import Conversation, Message
from vlm_app.chat.thinking import split_thinking
from vlm_app.media import THUMBNAIL_TYPE, thumbnail
from vlm_app.types import Answer, Box, Finish, Mask, Picture, Point, Polygon, Region, Shape, Task

THUMBNAIL_SIDE = 640  # pixels
_ENDINGS = {Finish.LENGTH: "cut at the limit", Finish.CANCELLED: "stopped"}
# What a viewer would fetch or run: an image or a tag in what a model or a person wrote.
_ACTIVE = re.compile(r"!(?=\[)|<(?=[a-zA-Z/!?])")


def export(conversation: Conversation) -> str:
    """The conversation; images are at most 640 pixels wide and high, regions are listed in fractions."""
    blocks = [f"# {_quiet(conversation.title)}"]
    images = 0
    for message in conversation.messages:
        blocks += _answered(message.answer) if message.answer is not None else _asked(message, images)
        images += len(message.media)
    return "\n\n".join(blocks) + "\n"


def _asked(message: Message, images: int) -> Iterator[str]:
    yield "## You"
    for part in message.turn.parts:
        if isinstance(part, Picture):
            images += 1
            data = base64.b64encode(thumbnail(part, THUMBNAIL_SIDE)).decode()
            yield f"![image {images}](data:{THUMBNAIL_TYPE};base64,{data})"
        elif isinstance(part, str):
            yield _quiet(part)
    if message.task is not Task.CHAT:
        yield f"*{message.task.replace('_', ' ').capitalize()}: {_quiet(message.query or 'everything')}*"


def _answered(answer: Answer) -> Iterator[str]:
    yield f"## {_quiet(answer.model) or 'Answer'}"
    thinking, text = split_thinking(answer.text)
    if thinking:
        yield "\n".join(f"> {line}" for line in _quiet(thinking).splitlines())
    if text:
        yield _quiet(text)
    if answer.regions:
        yield "\n".join(f"- {_region(region)}" for region in answer.regions)
    if answer.finish is Finish.FAILED:
        yield f"*{_quiet(answer.error)}*"
    elif answer.finish in _ENDINGS:
        yield f"*({_ENDINGS[answer.finish]})*"


def _region(region: Region) -> str:
    return f"{_quiet(region.label)}: {region.kind} {_place(region.shape)} on image {region.image + 1}"


def _place(shape: Shape) -> str:
    """Fractions of the image, x before y; of a mask the box that it fills."""
    match shape:
        case Box():
            return _numbers(*shape.xyxy)
        case Point():
            return _numbers(shape.x, shape.y)
        case Polygon():
            return " ".join(_numbers(point.x, point.y) for point in shape.points)
        case Mask():
            return _numbers(*shape.box.xyxy)


def _numbers(*values: float) -> str:
    return "(" + ", ".join(f"{value:.3f}" for value in values) + ")"


def _quiet(text: str) -> str:
    """The text with images and HTML shown as they were typed: nothing in it is fetched or run."""
    return _ACTIVE.sub(lambda found: "\\" + found.group(), text)
