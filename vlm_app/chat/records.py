"""Conversations in the store: every query names the owner, every change is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Select, Text, cast, func, select, update
from sqlalchemy.orm import Session

from vlm_app.chat.conversation import Alternative, ChatSettings, Conversation, Message, Summary, Taught
from vlm_app.chat.rows import (
    Asked,
    Said,
    alternatives_of,
    assistant_message,
    content_of,
    conversation_row,
    load,
    settings_to_dict,
    taught_of,
    taught_to_dict,
    words_of,
)
from vlm_app.errors import NotFound
from vlm_app.store import Store, answer_to_dict, new_id
from vlm_app.store.tables import AnswerRow, ConversationRow, MessageMediaRow, MessageRow
from vlm_app.types import Answer, Role


class Records:
    """Reads and writes the conversations of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- conversations --------------------------------------------------------------------

    def summaries(self, owner: str, search: str) -> tuple[Summary, ...]:
        """Chats whose title or shown messages hold the words, the last used first."""
        words = words_of(search.strip())
        rows = select(ConversationRow).filter_by(owner=owner).order_by(ConversationRow.updated.desc())
        with self._store.reading() as session:
            found = set(session.scalars(_mentions(owner, words))) if words else set()
            return tuple(
                Summary(row.id, row.title, row.updated)
                for row in session.scalars(rows)
                if words in words_of(row.title) or row.id in found
            )

    def load(self, owner: str, id: str) -> Conversation:
        """The conversation as it is shown. Raises `NotFound`."""
        with self._store.reading() as session:
            return load(session, self._store, owner, id)

    def knows(self, owner: str, id: str) -> bool:
        """Whether the owner has that conversation."""
        with self._store.reading() as session:
            return session.scalar(select(ConversationRow.id).filter_by(owner=owner, id=id)) is not None

    def change(
        self, owner: str, id: str, *, title: str | None = None, settings: ChatSettings | None = None
    ) -> None:
        with self._store.writing() as session:
            row = conversation_row(session, owner, id)
            row.title = row.title if title is None else title
            row.settings = row.settings if settings is None else settings_to_dict(settings)

    def delete(self, owner: str, id: str) -> None:
        """Removes the conversation with all its answers and votes, and the images that only it held."""
        with self._store.writing() as session:
            row = conversation_row(session, owner, id)
            held = select(MessageMediaRow.media_id).join(
                MessageRow, MessageRow.id == MessageMediaRow.message_id
            )
            media = set(
                session.scalars(held.where(MessageRow.conversation_id == id, MessageRow.owner == owner))
            )
            session.delete(row)
        self._store.drop_unused(owner, sorted(media))

    def insert(
        self, owner: str, title: str, settings: ChatSettings, created: datetime, said: Sequence[Said]
    ) -> str:
        """Adds a whole conversation, and returns its id."""
        self._write_images(owner, *(message for message, _ in said if isinstance(message, Asked)))
        with self._store.writing() as session:
            id = _add_conversation(session, owner, new_id(), title, settings, created)
            for message, when in said:
                if isinstance(message, Asked):
                    asked = self._add_asked(session, owner, id, message, when)
                else:
                    row = _add_answer_message(session, asked, words_of(message.shown.text), when)
                    for each in message.alternatives:
                        _add_answer(session, row, each, when)
        return id

    # --- messages -------------------------------------------------------------------------

    def add_asked(
        self, conversation: Conversation, asked: Asked, *, instead_of: str | None = None
    ) -> Conversation:
        """Adds a user's message, and with it the conversation when it is the first one.

        The message `instead_of` and all that follow it are no longer shown, but kept: their
        answers and votes are training data. Raises `NotFound` when the conversation has been
        deleted, or the message has.
        """
        owner, id = conversation.owner, conversation.id
        self._write_images(owner, asked)
        with self._store.writing() as session:
            now = datetime.now(UTC)
            if conversation.messages or instead_of is not None or _exists(session, id):
                row = conversation_row(session, owner, id)
                row.settings, row.updated = settings_to_dict(conversation.settings), now
                row.title = conversation.title
            else:
                _add_conversation(session, owner, id, conversation.title, conversation.settings, now)
            if instead_of is not None:
                _supersede(session, _message_row(session, owner, id, instead_of))
            self._add_asked(session, owner, id, asked, now)
            return load(session, self._store, owner, id)

    def add_answer(self, owner: str, asked_id: str, answer: Answer, *, beside: bool = False) -> Message:
        """Adds an answer to a user's message; earlier answers to it become its alternatives.
        One that stands `beside` them becomes an alternative itself.

        Raises `NotFound` when the message has been deleted.
        """
        with self._store.writing() as session:
            now = datetime.now(UTC)
            asked = session.scalar(select(MessageRow).filter_by(owner=owner, id=asked_id))
            if asked is None:
                raise NotFound("This chat was deleted while it was answered: start a new one.")
            row = _answer_message(session, asked) or _add_answer_message(session, asked, "", now)
            shown = not (beside and _answer_rows(session, row))
            if shown:
                row.words = words_of(answer.text)
                others = update(AnswerRow).filter_by(owner=owner, message_id=row.id)
                session.execute(others.values(shown=False))
            _touch(session, asked.conversation_id, now)
            _add_answer(session, row, Alternative(answer, 0, shown), now)
            return assistant_message(row, _answer_rows(session, row))

    def extend_answer(self, owner: str, message_id: str, answer: Answer) -> Message:
        """Puts a continued answer in the place of the cut one, with its vote. Raises `NotFound`."""
        with self._store.writing() as session:
            row = session.scalar(select(MessageRow).filter_by(owner=owner, id=message_id))
            if row is None:
                raise NotFound("This chat was deleted while it was answered: start a new one.")
            answers = _answer_rows(session, row)
            shown = next(each for each in answers if each.shown)
            shown.body, row.words = answer_to_dict(answer), words_of(answer.text)
            _touch(session, row.conversation_id, datetime.now(UTC))
            return assistant_message(row, answers)

    def alternatives(self, owner: str, id: str, message_id: str) -> tuple[Alternative, ...]:
        """All answers of an assistant's message, the oldest first. Raises `NotFound`."""
        with self._store.reading() as session:
            message = _message_row(session, owner, id, message_id)
            return alternatives_of(message, _answer_rows(session, message))

    def choose(self, owner: str, id: str, message_id: str, index: int) -> None:
        """Shows another of the answers. Raises `NotFound`."""
        with self._store.writing() as session:
            message = _message_row(session, owner, id, message_id)
            rows = _answer_rows(session, message)
            if not 0 <= index < len(rows):
                raise NotFound(
                    f"This message has {len(rows)} answers, and number {index + 1} is not one of them."
                )
            for place, row in enumerate(rows):
                row.shown = place == index
            message.words = words_of(rows[index].body["text"])

    def vote(self, owner: str, id: str, message_id: str, value: int) -> None:
        """Keeps a vote with the answer that is shown. Raises `NotFound`, also for a user's message."""
        with self._store.writing() as session:
            rows = _answer_rows(session, _message_row(session, owner, id, message_id))
            if not rows:
                raise NotFound("Only answers can be voted on, and this message is a question.")
            next(row for row in rows if row.shown).vote = value

    def teach(
        self, owner: str, id: str, message_id: str, index: int, value: int, taught: Taught | None
    ) -> None:
        """Keeps a vote and what was made of the answer with that index, or that it is nothing any more.

        Raises `NotFound`.
        """
        with self._store.writing() as session:
            message = _message_row(session, owner, id, message_id)
            rows = _answer_rows(session, message)
            if not 0 <= index < len(rows):
                raise NotFound("This answer is not in the chat any more: reload the chat.")
            rows[index].vote = value
            others = {each: kept for each, kept in taught_of(message).items() if each != rows[index].id}
            now = others if taught is None else {**others, rows[index].id: taught}
            message.content = {**message.content, "taught": taught_to_dict(now)}

    def teachers(self, owner: str, example: str) -> tuple[Taught, ...]:
        """What says of the owner's answers that this example was made of them."""
        words = cast(MessageRow.content, Text).contains(example, autoescape=True)
        answers = select(MessageRow).filter_by(owner=owner, role=Role.ASSISTANT).where(words)
        with self._store.reading() as session:
            rows = session.scalars(answers)
            found = [taught for row in rows for taught in taught_of(row).values()]
        return tuple(each for each in found if each.example == example)

    # --- within a transaction ---------------------------------------------------------------

    def _write_images(self, owner: str, *asked: Asked) -> None:
        self._store.write_images(owner, [picture for each in asked for picture in each.pictures])

    def _add_asked(self, session: Session, owner: str, id: str, asked: Asked, when: datetime) -> MessageRow:
        media = self._store.keep_pictures(session, owner, asked.pictures)
        last = session.scalar(
            select(func.max(MessageRow.position)).filter_by(owner=owner, conversation_id=id)
        )
        position = 0 if last is None else last - last % 2 + 2
        content = content_of(asked, media)
        row = _message(owner, id, position, Role.USER, content, asked.words, when)
        session.add(row)
        session.flush()
        session.add_all(MessageMediaRow(message_id=row.id, media_id=each, owner=owner) for each in set(media))
        return row


def _mentions(owner: str, words: str) -> Select[str]:
    said = MessageRow.words.contains(words, autoescape=True)
    return select(MessageRow.conversation_id).filter_by(owner=owner, superseded=False).where(said)


def _exists(session: Session, id: str) -> bool:
    return session.get(ConversationRow, id) is not None


def _add_conversation(
    session: Session, owner: str, id: str, title: str, settings: ChatSettings, created: datetime
) -> str:
    row = ConversationRow(
        id=id,
        owner=owner,
        title=title,
        settings=settings_to_dict(settings),
        created=created,
        updated=datetime.now(UTC),
    )
    session.add(row)
    session.flush()
    return id


def _message(
    owner: str, id: str, position: int, role: Role, content: dict[str, Any], words: str, when: datetime
) -> MessageRow:
    return MessageRow(
        id=new_id(),
        owner=owner,
        conversation_id=id,
        position=position,
        role=role.value,
        content=content,
        words=words,
        superseded=False,
        created=when,
    )


def _message_row(session: Session, owner: str, id: str, message_id: str) -> MessageRow:
    """A message that is shown. Raises `NotFound`, also for another owner's."""
    wanted = select(MessageRow).filter_by(owner=owner, conversation_id=id, id=message_id, superseded=False)
    row = session.scalar(wanted)
    if row is None:
        raise NotFound("This message is not in the chat any more: reload the chat.")
    return row


def _answer_message(session: Session, asked: MessageRow) -> MessageRow | None:
    """The assistant's message that answers a user's."""
    return session.scalar(
        select(MessageRow).filter_by(
            owner=asked.owner, conversation_id=asked.conversation_id, position=asked.position + 1
        )
    )


def _add_answer_message(session: Session, asked: MessageRow, words: str, when: datetime) -> MessageRow:
    row = _message(
        asked.owner, asked.conversation_id, asked.position + 1, Role.ASSISTANT, {"version": 1}, words, when
    )
    row.superseded = asked.superseded  # it was edited away while it was answered
    session.add(row)
    session.flush()
    return row


def _answer_rows(session: Session, message: MessageRow) -> Sequence[AnswerRow]:
    """The answers of a message, the oldest first: ids are sorted by time."""
    rows = select(AnswerRow).filter_by(owner=message.owner, message_id=message.id).order_by(AnswerRow.id)
    return session.scalars(rows).all()


def _add_answer(session: Session, message: MessageRow, given: Alternative, when: datetime) -> None:
    session.add(
        AnswerRow(
            id=new_id(),
            owner=message.owner,
            message_id=message.id,
            body=answer_to_dict(given.answer),
            vote=given.vote,
            shown=given.shown,
            created=when,
        )
    )
    session.flush()


def _supersede(session: Session, first: MessageRow) -> None:
    """Takes a message and all that follow it out of the conversation that is shown."""
    session.execute(
        update(MessageRow)
        .filter_by(owner=first.owner, conversation_id=first.conversation_id)
        .where(MessageRow.position >= first.position)
        .values(superseded=True)
    )


def _touch(session: Session, id: str, now: datetime) -> None:
    session.execute(update(ConversationRow).filter_by(id=id).values(updated=now))
