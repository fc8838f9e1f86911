"""A data folder of an older version is brought up to date and keeps what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from PIL import Image
from sqlalchemy import create_engine, inspect, text

import vlm_app.store
from tests.chat.fake_engine import FakeEngine
from vlm_app.chat import Chats
from vlm_app.media import picture_from
from vlm_app.store import Store
from vlm_app.store import database as opening

OWNER = "ada"


def at(revision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, a start brings the database up to that revision only."""
    monkeypatch.setattr(opening.command, "upgrade", lambda config, _: real(config, revision))


real = command.upgrade


def columns(folder: Path) -> set[str]:
    engine = create_engine(f"sqlite:///{folder / 'app.db'}")
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def test_chats_of_the_first_version_are_all_there_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at("0001", monkeypatch)
    old = Store(tmp_path)
    assert "sheets" not in columns(tmp_path)
    chats = Chats(old, FakeEngine())
    picture = picture_from(Image.new("RGB", (20, 10), "red"))
    *_, step = chats.send(OWNER, chats.new(OWNER), (picture, "what is there?"))
    chats.vote(OWNER, step.conversation.id, step.conversation.messages[-1].id, 1)
    before = chats.open(OWNER, step.conversation.id)
    old.close()
    monkeypatch.undo()

    new = Store(tmp_path)
    assert {"files", "sheets", "sheet_files", "sheet_media", "findings"} <= columns(tmp_path)
    assert Chats(new, FakeEngine()).open(OWNER, before.id) == before
    assert new.picture(OWNER, before.media[0]) == picture
    new.close()


def test_an_upgrade_that_breaks_off_leaves_the_older_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at("0001", monkeypatch)
    Store(tmp_path).close()
    monkeypatch.undo()
    before = columns(tmp_path)
    from alembic.operations import Operations

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the power went out")

    monkeypatch.setattr(Operations, "create_index", fail)
    with pytest.raises(RuntimeError):
        Store(tmp_path)
    monkeypatch.undo()
    assert columns(tmp_path) == before
    Store(tmp_path).close()


def test_every_migration_follows_the_one_before_it() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(vlm_app.store.__file__).parent / "migrations"))
    from alembic.script import ScriptDirectory

    revisions = [each.revision for each in ScriptDirectory.from_config(config).walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert revisions[-2:] == ["0002", "0001"]


def test_every_column_that_names_an_image_or_a_file_is_asked_before_one_is_let_go(tmp_path: Path) -> None:
    from vlm_app.store.tables import FILE_HOLDERS, IMAGE_HOLDERS, Base

    named = {"media": set[str](), "files": set[str]()}
    for table in Base.metadata.tables.values():
        for key in table.foreign_keys:
            if key.column.table.name in named:
                named[key.column.table.name].add(f"{table.name}.{key.parent.name}")
    held = [
        {f"{each.class_.__tablename__}.{each.key}" for each in one} for one in (IMAGE_HOLDERS, FILE_HOLDERS)
    ]
    assert [named["media"], named["files"]] == held


def test_a_migrated_database_has_the_tables_and_indexes_that_the_app_knows(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from vlm_app.store.tables import Base

    Store(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
    engine.dispose()


def test_the_database_says_which_version_it_is(tmp_path: Path) -> None:
    Store(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    with engine.connect() as connection:
        version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    engine.dispose()
    assert version is not None and version >= "0002"
