"""The workbench: files, sheets, findings."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _files()
    _sheets()
    _findings()


def _files() -> None:
    op.create_table(
        "files",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("media_type", sa.String, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.UniqueConstraint("owner", "sha256"),
    )
    op.create_index("files_by_sha256", "files", ["sha256"])


def _sheets() -> None:
    op.create_table(
        "sheets",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
    )
    op.create_index("sheets_by_owner", "sheets", ["owner", "updated"])
    _holding("sheet_files", "file_id", "files")
    _holding("sheet_media", "media_id", "media")
    op.create_index("sheet_files_by_file", "sheet_files", ["file_id"])
    op.create_index("sheet_media_by_media", "sheet_media", ["media_id"])


def _holding(table: str, column: str, held: str) -> None:
    op.create_table(
        table,
        sa.Column("sheet_id", sa.String, sa.ForeignKey("sheets.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(column, sa.String, sa.ForeignKey(f"{held}.id"), primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
    )


def _findings() -> None:
    op.create_table(
        "findings",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False),
        sa.Column("sheet_id", sa.String, sa.ForeignKey("sheets.id", ondelete="CASCADE"), nullable=False),
        sa.Column("body", sa.JSON, nullable=False),
        sa.Column("beside", sa.String, sa.ForeignKey("findings.id", ondelete="SET NULL"), nullable=True),
        sa.Column("created", sa.DateTime, nullable=False),
        sa.Column("updated", sa.DateTime, nullable=False),
    )
    op.create_index("findings_by_sheet", "findings", ["sheet_id"])
    op.create_index("findings_by_beside", "findings", ["beside"])
