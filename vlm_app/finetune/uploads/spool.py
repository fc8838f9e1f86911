"""Rows that belong together though they stand apart: kept on disk, and given back group by group."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MANY = 2_000  # rows that are written at once


class Spool:
    """A file of rows by group; memory does not grow with it. For one thread."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;"
            "CREATE TABLE spooled (number INTEGER, name TEXT, data TEXT); BEGIN"
        )
        self._waiting: list[tuple[int, str, str]] = []

    def add(self, number: int, group: Any, data: Any) -> None:
        """Keeps a row; `group` and `data` are plain data."""
        self._waiting.append((number, _key(group), json.dumps(data)))
        if len(self._waiting) >= _MANY:
            self._write()

    def close_writing(self) -> None:
        """To be called once, before anything is read."""
        self._write()
        self._database.execute("CREATE INDEX by_name ON spooled (name, number)")
        self._database.execute("COMMIT")

    def group(self, group: Any) -> list[tuple[int, Any]]:
        """The rows of one group, in their order."""
        found = self._database.execute(
            "SELECT number, data FROM spooled WHERE name = ? ORDER BY number", (_key(group),)
        )
        return [(number, json.loads(data)) for number, data in found]

    def groups(self) -> Iterator[list[tuple[int, Any]]]:
        """All groups, in the order in which each began."""
        starts = self._database.execute(
            "SELECT MIN(number) AS start, name FROM spooled GROUP BY name ORDER BY start"
        )
        for _, name in starts:
            yield self.group(json.loads(name))

    def close(self) -> None:
        """Lets go of the file."""
        self._database.close()

    def _write(self) -> None:
        self._database.executemany("INSERT INTO spooled VALUES (?, ?, ?)", self._waiting)
        self._waiting = []


def _key(group: Any) -> str:
    return json.dumps(group, sort_keys=True)
