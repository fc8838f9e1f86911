"""Chats: OpenAI's messages, and the conversations of LLaVA and ShareGPT; also with ms-swift's boxes.

An example is one question: of a chat with several exchanges the last one is taken, with all
pictures up to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vlm_app.finetune.uploads import fields, swift
from vlm_app.finetune.uploads.fields import Record
from vlm_app.finetune.uploads.rows import BadRow, Draft
from vlm_app.types import Task

_PLACE = "<image>"
_ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "model": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
    "developer": "system",
}


@dataclass(frozen=True, slots=True)
class Said:
    """A turn: its words, with `<image>` for each picture; `pictures` has None for one listed elsewhere."""

    role: str
    text: str
    pictures: tuple[str | None, ...] = ()


def messages(row: Record) -> Iterator[Draft]:
    """A row with `messages`."""
    turns = [_message(one) for one in fields.entries(row["messages"], "'messages'")]
    yield _draft(turns, row, may_lack_places=True)


def conversations(row: Record) -> Iterator[Draft]:
    """A row with `conversations` of `from` and `value`."""
    yield _draft([_turn(one) for one in fields.entries(row["conversations"], "'conversations'")], row)


def exchanges(row: Record) -> Iterator[Draft]:
    """A row with `texts` of `user` and `assistant`, as The Cauldron has them; pictures come first."""
    turns = []
    for one in fields.entries(row["texts"], "'texts'"):
        pair = fields.record(one, "'texts'")
        turns += [Said("user", fields.words(pair.get("user"), "question"))]
        turns += [Said("assistant", fields.words(pair.get("assistant"), "answer"))]
    yield _draft(turns, row, may_lack_places=True)


# --- turns --------------------------------------------------------------------------------


def _message(value: Any) -> Said:
    turn = fields.record(value, "message")
    role, content = _role(turn.get("role")), turn.get("content")
    if not isinstance(content, list):
        text = fields.words(content, "message")
        return Said(role, text, (None,) * text.count(_PLACE))
    text, pictures = "", list[str | None]()
    for part in content:
        words, found = _part(fields.record(part, "part of a message"))
        text += ("\n" if text and words and not text.endswith("\n") else "") + words
        pictures += found
    return Said(role, text, tuple(pictures))


def _part(part: Record) -> tuple[str, list[str | None]]:
    kind = part.get("type", "text" if "text" in part else "")
    if kind in ("text", "input_text", "output_text"):
        words = fields.words(part.get("text"), "message")
        return words, [None] * words.count(_PLACE)
    if kind in ("image_url", "image", "input_image"):
        held = fields.first(part, ("image_url", "image", "url", "path", "base64", "bytes"))
        return _PLACE, [None if held is None else fields.picture(held)]
    raise BadRow(f"a message has text and pictures, found {str(kind)[:40]!r}")


def _turn(value: Any) -> Said:
    turn = fields.record(value, "turn")
    text = fields.words(turn.get("value"), "turn")
    return Said(_role(turn.get("from")), text, (None,) * text.count(_PLACE))


def _role(value: Any) -> str:
    role = _ROLES.get(value.casefold()) if isinstance(value, str) else None
    if role is None:
        raise BadRow(f"a turn is of the user, the assistant or the system, found {str(value)[:40]!r}")
    return role


# --- the last exchange --------------------------------------------------------------------


def _draft(turns: Sequence[Said], row: Record, *, may_lack_places: bool = False) -> Draft:
    if "video" in row or "videos" in row:
        raise BadRow("it has a video, where pictures are taken")
    listed = fields.pictures(row)
    start = max((place for place, turn in enumerate(turns[:-1]) if turn.role == "assistant"), default=-1) + 1
    if not turns or turns[-1].role != "assistant" or not any(one.role == "user" for one in turns[start:-1]):
        raise BadRow("a chat ends with a question and its answer")
    pictures = _pictures(turns, listed, may_lack_places)
    if turns[-1].pictures:
        raise BadRow("its answer has a picture, where words are taken")
    before = sum(len(turn.pictures) for turn in turns[:start])
    asked = [turn for turn in turns[start:-1] if turn.role == "user"]
    query = _numbered("\n".join(turn.text for turn in asked), len(pictures), before)
    draft = Draft(pictures, Task.CHAT, query, turns[-1].text.strip(), note=_note(turns, start))
    if "objects" in row:
        return swift.with_boxes(draft, row["objects"], "".join(turn.text for turn in turns[:start]))
    rejected = fields.words(row.get("rejected_response"), "rejected answer").strip()
    return replace(draft, rejected=rejected or None)


def _pictures(turns: Sequence[Said], listed: Sequence[str], may_lack_places: bool) -> tuple[str, ...]:
    """The pictures in the order of their places. Raises `BadRow` where there are not as many."""
    places = [one for turn in turns for one in turn.pictures]
    open_places = places.count(None)
    if not open_places and may_lack_places:
        return (*listed, *(one for one in places if one is not None))
    if open_places != len(listed):
        raise BadRow(
            f"it has {len(listed)} picture{'s' * (len(listed) != 1)} and {open_places} "
            f"place{'s' * (open_places != 1)} for one ({_PLACE})"
        )
    following = iter(listed)
    return tuple(next(following) if one is None else one for one in places)


def _numbered(text: str, pictures: int, before: int) -> str:
    """A question without places for pictures; one in the midst of it is called by its number."""
    text = text.strip()
    number = before
    while text.startswith(_PLACE):
        text, number = text.removeprefix(_PLACE).lstrip(), number + 1
    while text.endswith(_PLACE):
        text = text.removesuffix(_PLACE).rstrip()
    while _PLACE in text:
        number += 1
        text = text.replace(_PLACE, f"image {number}" if pictures > 1 else "the image", 1)
    return re.sub(r"\n{3,}", "\n\n", text)


def _note(turns: Sequence[Said], start: int) -> str:
    earlier = sum(turn.role == "assistant" for turn in turns[:start])
    left = [f"{earlier} earlier exchange{'s' * (earlier != 1)}"] if earlier else []
    left += ["the words of the system"] if any(turn.role == "system" for turn in turns) else []
    return f"left out: {' and '.join(left)}" if left else ""
