"""Datasets of examples to learn from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _datasets()
    _examples()


def _datasets() -> None:
    op.create_table(
        "datasets",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
    )
    op.create_index("datasets_by_owner", "datasets", ["owner", "updated"])


def _examples() -> None:
    op.create_table(
        "examples",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("dataset_id", sa.String, sa.ForeignKey("datasets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("task", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.UniqueConstraint("dataset_id", "digest"),
    )
    op.create_table(
        "example_media",
        sa.Column(
            "example_id", sa.String, sa.ForeignKey("examples.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("media_id", sa.String, sa.ForeignKey("media.id"), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
    )
    op.create_index("example_media_by_media", "example_media", ["media_id"])
