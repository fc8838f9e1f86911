"""Conversations, messages, answers, images."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _media()
    _conversations()
    _messages()
    _answers()


def _media() -> None:
    op.create_table(
        "media",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("note", sa.String, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.UniqueConstraint("owner", "sha256"),
    )
    op.create_index("media_by_sha256", "media", ["sha256"])


def _conversations() -> None:
    op.create_table(
        "conversations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("settings", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
    )
    op.create_index("conversations_by_owner", "conversations", ["owner", "updated"])


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column(
            "conversation_id",
            sa.String,
            sa.ForeignKey("conversations.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("role", sa.String, nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
        sa.Column("words", sa.Text, nullable=False),
        sa.Column("superseded", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.UniqueConstraint("conversation_id", "position"),
    )
    op.create_index("messages_by_owner", "messages", ["owner"])
    op.create_table(
        "message_media",
        sa.Column(
            "message_id", sa.String, sa.ForeignKey("messages.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("media_id", sa.String, sa.ForeignKey("media.id"), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
    )
    op.create_index("message_media_by_media", "message_media", ["media_id"])


def _answers() -> None:
    op.create_table(
        "answers",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("message_id", sa.String, sa.ForeignKey("messages.id", ondelete="CASCADE"), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("vote", sa.Integer, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.CheckConstraint("vote IN (-1, 0, 1)", name="vote_is_down_none_or_up"),
    )
    op.create_index("answers_by_message", "answers", ["message_id"])
