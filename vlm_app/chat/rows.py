"""Between rows of the database and the chat's dataclasses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.orm import Session

from vlm_app.chat.conversation import Alternative, ChatSettings, Conversation, Message, Taught
from vlm_app.errors import NotFound
from vlm_app.store import Store, answer_from_dict
from vlm_app.store.tables import AnswerRow, ConversationRow, MessageRow
from vlm_app.types import Answer, Picture, Role, StillPart, Task, Turn

_SETTINGS = TypeAdapter(ChatSettings)
_TAUGHT = TypeAdapter(dict[str, Taught])


@dataclass(frozen=True)
class Asked:
    """What a user said: the parts in their order, and for a task other than CHAT what it is about."""

    parts: tuple[StillPart, ...]
    task: Task = Task.CHAT
    query: str = ""

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(part for part in self.parts if isinstance(part, Picture))

    @property
    def words(self) -> str:
        """What a search looks through."""
        return words_of("\n".join([*(part for part in self.parts if isinstance(part, str)), self.query]))


@dataclass(frozen=True)
class Answered:
    """What was answered to it: every answer that was given, the oldest first, one of them shown."""

    alternatives: tuple[Alternative, ...]

    @property
    def shown(self) -> Answer:
        return next(each.answer for each in self.alternatives if each.shown)


Said = tuple[Asked | Answered, datetime]


def settings_to_dict(settings: ChatSettings) -> dict[str, Any]:
    return {"version": 1, **_SETTINGS.dump_python(settings, mode="json")}


def settings_from_dict(data: object) -> ChatSettings:
    """Raises `ValueError` that names what does not fit."""
    return _SETTINGS.validate_python(data)


def content_of(asked: Asked, media: Sequence[str]) -> dict[str, Any]:
    """The JSON of a message; `media` are the ids of its pictures, in order."""
    ids = iter(media)
    parts = [{"image": next(ids)} if isinstance(part, Picture) else {"text": part} for part in asked.parts]
    return {"version": 1, "parts": parts, "task": asked.task, "query": asked.query}


def words_of(text: str) -> str:
    """The text as a search compares it: SQLite itself knows upper and lower case in ASCII only."""
    return text.casefold()


def conversation_row(session: Session, owner: str, id: str) -> ConversationRow:
    """The row. Raises `NotFound`, also for another owner's."""
    row = session.scalar(select(ConversationRow).filter_by(owner=owner, id=id))
    if row is None:
        raise NotFound(
            "This chat does not exist or is not yours: choose one from the list, or start a new one."
        )
    return row


def load(session: Session, store: Store, owner: str, id: str) -> Conversation:
    """The conversation as it is shown. Raises `NotFound`."""
    row = conversation_row(session, owner, id)
    return Conversation(
        row.id,
        owner,
        row.title,
        settings_from_dict(row.settings),
        tuple(_messages(session, store, owner, id)),
        row.created,
        row.updated,
    )


def _messages(session: Session, store: Store, owner: str, id: str) -> Iterator[Message]:
    shown = select(MessageRow).filter_by(owner=owner, conversation_id=id, superseded=False)
    ids = shown.with_only_columns(MessageRow.id)
    answers: defaultdict[str, list[AnswerRow]] = defaultdict(list)
    for answer in session.scalars(
        select(AnswerRow).where(AnswerRow.owner == owner, AnswerRow.message_id.in_(ids))
    ):
        answers[answer.message_id].append(answer)
    for row in session.scalars(shown.order_by(MessageRow.position)):
        if row.role == Role.USER:
            yield user_message(session, store, row)
        else:
            yield assistant_message(row, answers[row.id])


def user_message(session: Session, store: Store, row: MessageRow) -> Message:
    """A user's message with its images, which are decoded when they are first used."""
    content = row.content
    media = tuple(part["image"] for part in content["parts"] if "image" in part)
    parts = tuple(
        part["text"] if "text" in part else store.read_picture(session, row.owner, part["image"])
        for part in content["parts"]
    )
    return Message(
        row.id,
        Turn(Role.USER, parts),
        media,
        None,
        0,
        0,
        row.created,
        Task(content["task"]),
        content["query"],
    )


def assistant_message(row: MessageRow, answers: Sequence[AnswerRow]) -> Message:
    """An assistant's message with the one of its answers that is shown."""
    given = alternatives_of(row, answers)
    shown = next(each for each in given if each.shown)
    answer = shown.answer
    return Message(
        row.id,
        Turn(Role.ASSISTANT, (answer.text,)),
        (),
        answer,
        shown.vote,
        len(given) - 1,
        row.created,
        answer.task,
        given=given if len(given) > 1 else (),
        taught=shown.taught,
    )


def alternatives_of(row: MessageRow, answers: Sequence[AnswerRow]) -> tuple[Alternative, ...]:
    """The answers of an assistant's message, the oldest first, each with what was made of it."""
    taught, ordered = taught_of(row), sorted(answers, key=lambda each: each.id)  # by time
    return tuple(
        Alternative(answer_from_dict(each.body), each.vote, each.shown, taught.get(each.id))
        for each in ordered
    )


def taught_of(row: MessageRow) -> dict[str, Taught]:
    """The examples that were made of the answers of an assistant's message, by the ids of the answers."""
    return _TAUGHT.validate_python(row.content.get("taught", {}))


def taught_to_dict(taught: Mapping[str, Taught]) -> dict[str, Any]:
    """What `taught_of` reads."""
    found: dict[str, Any] = _TAUGHT.dump_python(dict(taught), mode="json")
    return found
