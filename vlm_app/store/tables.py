"""The tables. A change here comes with a migration in `migrations/versions`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, CheckConstraint, DateTime, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator


class UtcDateTime(TypeDecorator[datetime]):
    """A moment with its time zone, kept as UTC: SQLite drops the zone of a datetime."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, dict[str, Any]: JSON, str: String}


class MediaRow(Base):
    """An image of an owner; its pixels lie in `images/<sha[:2]>/<sha>.png`, once for all owners."""

    __tablename__ = "media"
    __table_args__ = (UniqueConstraint("owner", "sha256"), Index("media_by_sha256", "sha256"))

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    sha256: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    note: Mapped[str]
    created: Mapped[datetime]


class ConversationRow(Base):
    __tablename__ = "conversations"
    __table_args__ = (Index("conversations_by_owner", "owner", "updated"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    title: Mapped[str]
    settings: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    updated: Mapped[datetime]


class MessageRow(Base):
    """One message. A user's has an even position, the answer to it the odd one that follows.

    `superseded` messages were edited away: they are no longer shown, and kept because their
    answers and votes are training data. `words` is what a search looks through.
    """

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("conversation_id", "position"), Index("messages_by_owner", "owner"))

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    conversation_id: Mapped[str] = mapped_column(ForeignKey("conversations.id", ondelete="CASCADE"))
    position: Mapped[int]
    role: Mapped[str]
    content: Mapped[dict[str, Any]]
    words: Mapped[str] = mapped_column(Text)
    superseded: Mapped[bool]
    created: Mapped[datetime]


class MessageMediaRow(Base):
    """Which images a message holds: an image that no message holds is removed."""

    __tablename__ = "message_media"
    __table_args__ = (Index("message_media_by_media", "media_id"),)

    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True)
    media_id: Mapped[str] = mapped_column(ForeignKey("media.id"), primary_key=True)
    owner: Mapped[str]


class AnswerRow(Base):
    """One answer of an assistant's message; the others of that message are its alternatives."""

    __tablename__ = "answers"
    __table_args__ = (
        CheckConstraint("vote IN (-1, 0, 1)", name="vote_is_down_none_or_up"),
        Index("answers_by_message", "message_id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    message_id: Mapped[str] = mapped_column(ForeignKey("messages.id", ondelete="CASCADE"))
    body: Mapped[dict[str, Any]]
    vote: Mapped[int]
    shown: Mapped[bool]
    created: Mapped[datetime]
