"""The tables. A change here comes with a migration in `migrations/versions`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    DateTime,
    ForeignKey,
    Index,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column
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


class FileRow(Base):
    """A file of an owner as it was opened; it lies in `files/<sha[:2]>/<sha>`, once for all owners.

    `sha256` is that of its bytes. The name is that of each sheet: the same file may have several.
    """

    __tablename__ = "files"
    __table_args__ = (UniqueConstraint("owner", "sha256"), Index("files_by_sha256", "sha256"))

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    sha256: Mapped[str]
    name: Mapped[str]
    media_type: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    created: Mapped[datetime]


class SheetRow(Base):
    """What lies on the workbench together: images, a document or a video, with its pages in `body`."""

    __tablename__ = "sheets"
    __table_args__ = (Index("sheets_by_owner", "owner", "updated"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    kind: Mapped[str]
    body: Mapped[dict[str, Any]]
    created: Mapped[datetime]
    updated: Mapped[datetime]


class SheetFileRow(Base):
    """Which files a sheet is made of: a file that nothing holds is removed."""

    __tablename__ = "sheet_files"
    __table_args__ = (Index("sheet_files_by_file", "file_id"),)

    sheet_id: Mapped[str] = mapped_column(ForeignKey("sheets.id", ondelete="CASCADE"), primary_key=True)
    file_id: Mapped[str] = mapped_column(ForeignKey("files.id"), primary_key=True)
    owner: Mapped[str]


class SheetMediaRow(Base):
    """Which pages of a sheet are kept as images: those that were asked about, or came as images."""

    __tablename__ = "sheet_media"
    __table_args__ = (Index("sheet_media_by_media", "media_id"),)

    sheet_id: Mapped[str] = mapped_column(ForeignKey("sheets.id", ondelete="CASCADE"), primary_key=True)
    media_id: Mapped[str] = mapped_column(ForeignKey("media.id"), primary_key=True)
    owner: Mapped[str]


class FindingRow(Base):
    """What a model answered about pages of a sheet, and what a person made of it.

    `beside` is the finding to which this one is the second opinion.
    """

    __tablename__ = "findings"
    __table_args__ = (Index("findings_by_sheet", "sheet_id"), Index("findings_by_beside", "beside"))

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    sheet_id: Mapped[str] = mapped_column(ForeignKey("sheets.id", ondelete="CASCADE"))
    body: Mapped[dict[str, Any]]
    beside: Mapped[str | None] = mapped_column(ForeignKey("findings.id", ondelete="SET NULL"))
    created: Mapped[datetime]
    updated: Mapped[datetime]


class DatasetRow(Base):
    """A set of examples to learn from."""

    __tablename__ = "datasets"
    __table_args__ = (Index("datasets_by_owner", "owner", "updated"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    created: Mapped[datetime]
    updated: Mapped[datetime]


class ExampleRow(Base):
    """One example of a dataset; `digest` is of what it teaches, so that a dataset holds it once."""

    __tablename__ = "examples"
    __table_args__ = (UniqueConstraint("dataset_id", "digest"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    dataset_id: Mapped[str] = mapped_column(ForeignKey("datasets.id", ondelete="CASCADE"))
    task: Mapped[str]
    digest: Mapped[str]
    body: Mapped[dict[str, Any]]
    created: Mapped[datetime]


class ExampleMediaRow(Base):
    """Which images an example is about."""

    __tablename__ = "example_media"
    __table_args__ = (Index("example_media_by_media", "media_id"),)

    example_id: Mapped[str] = mapped_column(ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True)
    media_id: Mapped[str] = mapped_column(ForeignKey("media.id"), primary_key=True)
    owner: Mapped[str]


class RunRow(Base):
    """A run that teaches a model; it lies in `runs/<id>/`. `body` says what is shown without that folder."""

    __tablename__ = "runs"
    __table_args__ = (Index("runs_by_owner", "owner", "created"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    owner: Mapped[str]
    name: Mapped[str]
    body: Mapped[dict[str, Any]]
    created: Mapped[datetime]


# Where an image or a file is held: what none of these columns names is let go of. A table that
# comes to hold some adds its column here.
IMAGE_HOLDERS: tuple[InstrumentedAttribute[str], ...] = (
    MessageMediaRow.media_id,
    SheetMediaRow.media_id,
    ExampleMediaRow.media_id,
)
FILE_HOLDERS: tuple[InstrumentedAttribute[str], ...] = (SheetFileRow.file_id,)
