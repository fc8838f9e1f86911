"""What this computer knows of models besides the project's catalog.

Small JSON files under the data folder: `lock.json` (the commit of a repository that is
used), `checks.json` (what the Hub said of it, and when), `added.json` (models that the
user added), `servers.json` (servers that the user added, with their models, without their
keys). Each holds a version and rows by key.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings

Book = Literal["lock", "checks", "added", "servers"]
Rows = dict[str, dict[str, Any]]
_VERSION = 1
_writing = threading.Lock()


def read(book: Book) -> Rows:
    """The rows of a book, by key; none where nothing was written yet.

    Raises `ModelUnavailable` when the file is damaged or of a later version.
    """
    path = path_of(book)
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ModelUnavailable(f"The file '{path}' cannot be read: correct or remove it.") from error
    rows = found.get("rows") if isinstance(found, dict) else None
    if (
        not isinstance(rows, dict)
        or found.get("version") != _VERSION
        or not all(isinstance(row, dict) for row in rows.values())
    ):
        raise ModelUnavailable(
            f"The file '{path}' is not of version {_VERSION}: remove it, or use the app that wrote it."
        )
    return rows


def write(book: Book, key: str, row: dict[str, Any]) -> None:
    """Set one row of a book. The file is never seen half written."""
    with _alone(book):
        _write(book, read(book) | {key: row})


def remove(book: Book, key: str) -> None:
    """Take one row out of a book; nothing happens where it is not there."""
    with _alone(book):
        _write(book, {other: row for other, row in read(book).items() if other != key})


@contextmanager
def _alone(book: Book) -> Iterator[None]:
    """No other thread or process writes a book for the time of the block. Raises `ModelUnavailable` where
    the disk refuses."""
    from filelock import FileLock

    path = path_of(book)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _writing, FileLock(path.with_name(".lock"), mode=0o600):
            yield
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelUnavailable(
            f"The file '{path}' cannot be written ({reason}): check the free space and the permissions of "
            "the data folder, or set VLM_APP_DATA to another one."
        ) from error


def _write(book: Book, rows: Rows) -> None:
    text = json.dumps({"version": _VERSION, "rows": rows}, ensure_ascii=False, indent=1)
    write_whole(path_of(book), text + "\n")


def write_whole(path: Path, text: str) -> None:
    """Replace a file at once; only its owner may read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}")  # mode 600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(name, path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def path_of(book: Book) -> Path:
    """The file of a book."""
    return settings().data / "models" / f"{book}.json"


def stamp() -> tuple[Any, ...]:
    """Changes whenever a book does."""
    return tuple(_stamp(path_of(book)) for book in ("lock", "checks", "added", "servers"))


def _stamp(path: Path) -> tuple[Any, ...]:
    try:
        found = path.stat()
    except OSError:
        return (path,)
    return (path, found.st_ino, found.st_mtime_ns, found.st_size)
