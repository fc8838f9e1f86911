"""A conversation as messages of the OpenAI protocol."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from vlm_app.errors import BadInput
from vlm_app.families import Family
from vlm_app.servers.registry import Server
from vlm_app.types import Part, Picture, Role, Seen, Turn

_QUALITY = 92  # of a JPEG, where a PNG would be too large
# What chat templates use as marks. A server cannot be told that a user only wrote about them.
_MARKS = re.compile(
    r"<(?=[|｜][^<>\s]{1,40}[|｜]>)"
    r"|<(?=/?(?:image|img|video|s|bos|eos|pad|unk|box|ref|point|loc|seg|grounding|phrase|object)[_\d]*>)"
    r"|<(?=(?:start_of|end_of|image_|video_|fake_token|row_)\w{0,40}>)"
    r"|\[(?=/?INST\])"
)
_NOTHING = "\u2060"  # a word joiner: no width, no break


def messages(
    server: Server, family: Family, turns: Sequence[Turn], pixels: int | None
) -> tuple[list[dict[str, Any]], Seen]:
    """The messages of a request without clips, and what the model will see of the last image.

    Images are data URLs in a size and format that the server takes. Where a family writes
    pixels of what it saw, the image is sent in just that size. Raises `BadInput` for what
    the server cannot take, before anything is sent.
    """
    pictures = [picture for turn in turns for picture in turn.pictures]
    most = server.kind.max_images
    if most is not None and len(pictures) > most:
        raise BadInput(
            f"{server.kind.title} takes at most {most} images in a conversation, found {len(pictures)}: "
            "begin a new chat, or leave some out."
        )
    sent = {picture: _sent(server, family, picture, pixels) for picture in pictures}
    total, limit = sum(len(sent[each][0]) for each in pictures), server.kind.max_request_bytes
    if limit is not None and total > limit:
        raise BadInput(
            f"The images have {total / 1e6:.1f} MB as they are sent, and {server.kind.title} takes "
            f"{limit / 1e6:.0f} MB: leave some out, or set a smaller pixel budget."
        )
    listed = [_message(family, turn, {picture: url for picture, (url, _) in sent.items()}) for turn in turns]
    return listed, _seen(family, sent[pictures[-1]][1] if pictures else None)


def _seen(family: Family, size: tuple[int, int] | None) -> Seen:
    note = "As it was sent: the server may have made it smaller." if size else ""
    return Seen(size=size, tiles=1 if size else 0, convention=family.convention if size else "", note=note)


def _message(family: Family, turn: Turn, urls: dict[Picture, str]) -> dict[str, Any]:
    if turn.role is Role.ASSISTANT:
        return {"role": "assistant", "content": family.open(turn.text).strip()}
    parts = [_part(part, urls) for part in turn.parts]
    if turn.role is Role.SYSTEM or not turn.pictures:
        return {
            "role": turn.role.value,
            "content": "\n".join(part["text"] for part in parts if "text" in part),
        }
    return {"role": turn.role.value, "content": parts}


def _part(part: Part, urls: dict[Picture, str]) -> dict[str, Any]:
    if isinstance(part, Picture):
        return {"type": "image_url", "image_url": {"url": urls[part]}}
    return {"type": "text", "text": part}


# --- what users type ----------------------------------------------------------------------


def plain(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """The turns with what a user wrote made harmless; a model's own words stay as they are."""
    return tuple(
        turn
        if turn.role is Role.ASSISTANT
        else Turn(turn.role, tuple(harmless(part) if isinstance(part, str) else part for part in turn.parts))
        for turn in turns
    )


def harmless(text: str) -> str:
    """A text in which no mark of a chat template is whole: a character without width breaks it."""
    return _MARKS.sub(lambda mark: mark.group() + _NOTHING, text)


# --- images -----------------------------------------------------------------------------


def _sent(
    server: Server, family: Family, picture: Picture, pixels: int | None
) -> tuple[str, tuple[int, int]]:
    """The data URL of an image, and the size that it has there."""
    size = _size(server, family, picture.size, pixels)
    image = picture.pixels if size == picture.size else picture.pixels.resize(size)
    for format in server.kind.formats:
        data = _encoded(image, format)
        if server.kind.max_image_bytes is None or len(data) * 4 / 3 <= server.kind.max_image_bytes:
            return f"data:image/{format};base64,{base64.b64encode(data).decode()}", size
    limit = (server.kind.max_image_bytes or 0) / 1e6
    raise BadInput(
        f"{server.kind.title} takes images of up to {limit:.0f} MB, and one of {size[0]} × {size[1]} pixels "
        "is larger: set a smaller pixel budget, or crop it."
    )


def _encoded(image: Any, format: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **({"quality": _QUALITY} if format == "jpeg" else {}))
    return buffer.getvalue()


def _size(server: Server, family: Family, size: tuple[int, int], pixels: int | None) -> tuple[int, int]:
    """(width, height) in which an image is sent: within the limits, in the steps that the family sees."""
    width, height = size
    scale = min(1.0, (pixels / (width * height)) ** 0.5 if pixels else 1.0)
    if server.kind.max_side:
        scale = min(scale, server.kind.max_side / max(size))
    shrunk = (max(round(width * scale), 1), max(round(height * scale), 1))
    return family.sent_size(shrunk)
