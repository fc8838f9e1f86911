"""A chat as one JSON file: the format, writing it, and reading what may come from anywhere.

The file holds `format`, `version`, `title`, `created`, `settings`, `images` (PNG in base64,
each once) and `messages` in order. A user's message has `parts`, each a `text` or an `image`
(an index into `images`), with its `task` and `query`. An assistant's has `answers`, of which
one is `shown`; a vote belongs to an answer. Regions are written as `grounding.region_to_dict`
does: their `image` counts the images of all messages in order.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Base64Bytes, BaseModel, Field, ValidationError
from pydantic_core import from_json

from vlm_app import limits
from vlm_app.chat.asking import checked_parts
from vlm_app.chat.conversation import Alternative, ChatSettings, Conversation, Message, shortened
from vlm_app.chat.records import Records
from vlm_app.chat.rows import Answered, Asked, Said, settings_from_dict, settings_to_dict
from vlm_app.chat.taking import Find
from vlm_app.engine import adapters
from vlm_app.engine.loading import PRECISIONS
from vlm_app.engine.opening import opening
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.media import open_image
from vlm_app.store import AnswerRecord, Store, answer_from_dict, answer_to_dict
from vlm_app.types import Picture, StillPart, Task

FORMAT = "vlm-app chat"
VERSION = 1
MOST_BYTES = 200_000_000
MOST_IMAGES = 200
MOST_MESSAGES = 5_000
MOST_MASK_PIXELS = 200_000_000  # of all masks together: a few run lengths can claim any size

_When = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 2, tzinfo=UTC), le=datetime(9990, 1, 1, tzinfo=UTC))
]


class _Image(BaseModel):
    png: Base64Bytes
    note: Annotated[str, Field(max_length=300)] = ""


class _Text(BaseModel):
    text: str


class _Shown(BaseModel):
    image: Annotated[int, Field(ge=0)]


class _User(BaseModel):
    role: Literal["user"]
    parts: list[_Text | _Shown]
    task: Task = Task.CHAT
    query: str = ""
    created: _When


class _Given(BaseModel):
    answer: AnswerRecord
    vote: Literal[-1, 0, 1] = 0
    shown: bool = True


class _Assistant(BaseModel):
    role: Literal["assistant"]
    answers: Annotated[list[_Given], Field(min_length=1, max_length=1_000)]
    created: _When


_Message = Annotated[_User | _Assistant, Field(discriminator="role")]


class _File(BaseModel):
    """Beside `format` and `version`, which are checked first."""

    title: str
    created: _When
    settings: dict[str, Any]
    images: Annotated[list[_Image], Field(max_length=MOST_IMAGES)]
    messages: Annotated[list[_Message], Field(min_length=1, max_length=MOST_MESSAGES)]


# --- writing ----------------------------------------------------------------------------


def export(store: Store, records: Records, conversation: Conversation) -> bytes:
    """The file, in UTF-8."""
    media = dict(zip(conversation.pictures, conversation.media, strict=True))
    places = {picture: place for place, picture in enumerate(media)}
    files = [store.picture_path(conversation.owner, id) for id in media.values()]
    file = {
        "format": FORMAT,
        "version": VERSION,
        "title": conversation.title,
        "created": conversation.created.isoformat(),
        "settings": settings_to_dict(conversation.settings),
        "images": [_image(path, picture) for path, picture in zip(files, places, strict=True)],
        "messages": [_message(records, conversation, message, places) for message in conversation.messages],
    }
    return json.dumps(file, ensure_ascii=False, indent=1).encode()


def _image(path: Path, picture: Picture) -> dict[str, str]:
    return {"png": base64.b64encode(path.read_bytes()).decode(), "note": picture.note}


def _message(
    records: Records, conversation: Conversation, message: Message, places: Mapping[Picture, int]
) -> dict[str, Any]:
    created = message.created.isoformat()
    if message.answer is None:
        parts = [
            {"image": places[part]} if isinstance(part, Picture) else {"text": part}
            for part in message.turn.parts
        ]
        return {
            "role": "user",
            "parts": parts,
            "task": message.task,
            "query": message.query,
            "created": created,
        }
    answers = [
        {"answer": answer_to_dict(each.answer), "vote": each.vote, "shown": each.shown}
        for each in records.alternatives(conversation.owner, conversation.id, message.id)
    ]
    return {"role": "assistant", "answers": answers, "created": created}


# --- reading ----------------------------------------------------------------------------


def take_in(store: Store, records: Records, find: Find, owner: str, data: bytes) -> str:
    """Adds the chat of a file to those of an owner; returns its new id.

    Nothing of the file is believed: sizes are checked before anything is decoded, images are
    opened like uploads, ids and owners are our own. Raises `BadInput`.
    """
    check_size(owner, len(data))
    file = _read(data)
    media: list[str] = []
    allowed = limits.of(owner)
    try:
        for number, image in enumerate(file.images, 1):
            name = f"image {number} of the file"
            picture = open_image(image.png, name=name, max_bytes=MOST_BYTES, limits=allowed)
            media.append(store.add_picture(owner, replace(picture, note=image.note)))
        pictures = [store.picture(owner, each) for each in media]  # not yet decoded again: memory stays flat
        said = _said(owner, file, pictures)
        chosen = _settings(file.settings, find, owner)
        return records.insert(owner, shortened(file.title) or "Imported chat", chosen, file.created, said)
    except BaseException:
        store.drop_unused(owner, media)
        raise


def check_size(owner: str, size: int) -> None:
    """Raises `BadInput` for a file of more bytes than are read for this owner."""
    most = min(MOST_BYTES, limits.of(owner).document_bytes or MOST_BYTES)
    if size > most:
        raise BadInput(f"The file has {size / 1e6:,.3g} MB, at most {most / 1e6:,.3g} MB are read.")


def _read(data: bytes) -> _File:
    try:
        found = from_json(data)
    except ValueError as error:
        raise BadInput("The file is not JSON: choose a chat that was exported here as JSON.") from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise BadInput("The file is JSON, and not a chat: choose one that was exported here as JSON.")
    if found.get("version") != VERSION:
        raise BadInput(
            f"The chat is written in version {str(found.get('version'))[:20]!s} of its format, and this app "
            f"reads version {VERSION}: update the app."
        )
    try:
        file = _File.model_validate(found)
    except ValidationError as error:
        raise _unfit(error) from error
    if sum(_mask_pixels(message) for message in file.messages) > MOST_MASK_PIXELS:
        raise BadInput(f"The masks of the chat have more than {MOST_MASK_PIXELS / 1e6:,.0f} million pixels.")
    return file


def _said(owner: str, file: _File, pictures: Sequence[Picture]) -> list[Said]:
    """The messages, checked as if they were sent one by one."""
    said: list[Said] = []
    images = 0
    for number, message in enumerate(file.messages, 1):
        where = f"Message {number} of the file"
        if isinstance(message, _User):
            asked = _asked(owner, message, pictures, where)
            images += len(asked.pictures)
            said.append((asked, message.created))
        elif not said or isinstance(said[-1][0], Answered):
            raise BadInput(f"{where} is an answer without a question before it: export the chat again.")
        else:
            said.append((_answered(message, images, where), message.created))
    return said


def _mask_pixels(message: _User | _Assistant) -> int:
    given = message.answers if isinstance(message, _Assistant) else []
    masks = [region.get("mask") for each in given for region in each.answer.regions]
    sizes = [mask.get("size") for mask in masks if isinstance(mask, dict)]
    return sum(
        abs(math.prod(size)) for size in sizes if isinstance(size, list) and all(type(n) is int for n in size)
    )


def _asked(owner: str, message: _User, pictures: Sequence[Picture], where: str) -> Asked:
    parts: list[StillPart] = []
    for part in message.parts:
        if isinstance(part, _Text):
            parts.append(part.text)
        elif part.image < len(pictures):
            parts.append(pictures[part.image])
        else:
            raise BadInput(f"{where} shows image {part.image + 1}, and the file has {len(pictures)}.")
    return Asked(checked_parts(owner, parts, message.task), message.task, message.query)


def _answered(message: _Assistant, images: int, where: str) -> Answered:
    if sum(each.shown for each in message.answers) != 1:
        raise BadInput(f"{where} must show exactly one of its answers: export the chat again.")
    try:
        given = [
            Alternative(answer_from_dict(each.answer), each.vote, each.shown) for each in message.answers
        ]
    except ValidationError as error:
        raise _unfit(error) from error
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{where} cannot be read: {error}.") from error
    if any(region.image >= images for each in given for region in each.answer.regions):
        raise BadInput(f"{where} has a region on an image that comes later or never: export the chat again.")
    return Answered(tuple(given))


def _settings(data: object, find: Find, owner: str) -> ChatSettings:
    """The settings of the file, without what is not here: with the default model where its own is
    not in the catalog, and only with an adapter and a precision that this app has."""
    try:
        chosen = settings_from_dict(data)
    except ValidationError as error:
        raise _unfit(error) from error
    precision = chosen.precision if chosen.precision in PRECISIONS else "auto"
    known = {each.id for each in adapters.installed(owner)}
    adapter = chosen.adapter if chosen.adapter in known else None
    chosen = replace(chosen, precision=precision, adapter=adapter)
    try:
        find(chosen.model)
    except ModelUnavailable:
        return replace(chosen, model=opening().model, precision="auto", adapter=None)
    return chosen


def _unfit(error: ValidationError) -> BadInput:
    """The first thing that does not fit, and where."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = " › ".join(str(step) for step in first["loc"])
    return BadInput(f"The chat cannot be read at '{where}': {first['msg']}. Export it again.")
