"""Opening the database: pragmas, transactions, migrations."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from vlm_app.errors import AppError

BUSY_SECONDS = 15.0  # how long a writer waits for another one


class StoreUnavailable(AppError):
    """The data folder cannot be used: full, read-only, busy, damaged or of a newer version."""


def open_database(url: str | URL) -> Engine:
    """An engine on `url`. Transactions of a connection with the execution option `write`
    take SQLite's write lock when they begin, so that a read within them can never be stale."""
    engine = create_engine(url, max_overflow=-1)  # as many connections as there are threads
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_connection)
        event.listen(engine, "begin", _begin)
        _use_write_ahead_log(engine)
    return engine


def _prepare_connection(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA secure_delete = ON")  # what was deleted is overwritten


def _begin(connection: Connection) -> None:
    write = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _use_write_ahead_log(engine: Engine) -> None:
    """The mode is kept in the file. Changing it does not honour `busy_timeout`, hence the loop."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        connection = engine.raw_connection()
        try:
            connection.cursor().execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        finally:
            connection.close()


def migrate(engine: Engine) -> None:
    """Brings the schema up to date in one transaction: all of it or nothing.

    Two processes that start at once take turns. Raises `StoreUnavailable` when the database
    was written by a newer version.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a start without news is silent
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with engine.execution_options(write=True).begin() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
        if found is not None and found not in known:
            raise StoreUnavailable(
                f"The data folder was written by a newer version of this app (schema {found}, known up to "
                f"{max(known)}): update the app, or set VLM_APP_DATA to another folder."
            )
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


@contextmanager
def told(data: Path) -> Iterator[None]:
    """Turns what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        raise as_sentence(error, data) from error


def as_sentence(error: DBAPIError | sqlite3.Error | OSError, data: Path) -> StoreUnavailable:
    """What a user is told when the database or the folder refuses."""
    if isinstance(error, OSError):
        reason = error.strerror or type(error).__name__
    else:
        reason = str(error.orig if isinstance(error, DBAPIError) else error)
        if "database is locked" in reason:
            return StoreUnavailable("The data folder is busy with another write: try again in a moment.")
    return StoreUnavailable(
        f"The data folder {data} cannot be used ({reason}): check its free space and its permissions, "
        "or set VLM_APP_DATA to another folder."
    )
