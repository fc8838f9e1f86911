"""The models that can be asked for: `models/*.toml`, read and checked.

The catalog is data. What a row's family means is said in `vlm_app.families`, and where
its weights run is the engine's affair.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Task

_NEEDED = {"name": str, "family": str, "tasks": list}
_OPTIONAL = {
    "folder": str,
    "repo": str,
    "parameters": int,
    "licence": str,
    "knows": str,
    "images": int,
    "context": int,
    "sources": list,
}


def catalog() -> Mapping[str, Checkpoint]:
    """Every row of `models/*.toml`, by id, in the order of the files and their tables.

    Raises `ModelUnavailable` when a file cannot be read or a row holds something else
    than what `models/catalog.toml` describes.
    """
    return _read(settings().models)


def find(id: str, rows: Mapping[str, Checkpoint] | None = None) -> Checkpoint:
    """The row with that id; `ModelUnavailable` names the known ones otherwise."""
    rows = catalog() if rows is None else rows
    if id not in rows:
        known = ", ".join(rows) or "none"
        raise ModelUnavailable(f"There is no model '{id}' in the catalog; choose one of: {known}.")
    return rows[id]


@cache
def _read(folder: Path) -> Mapping[str, Checkpoint]:
    rows: dict[str, Checkpoint] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            tables = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ModelUnavailable(f"The catalog file {path.name} cannot be read: {error}.") from error
        for id, table in tables.items():
            if id in rows:
                raise ModelUnavailable(
                    f"The model '{id}' stands twice in the catalog: remove it from {path.name}."
                )
            rows[id] = _row(id, table, path)
    return MappingProxyType(rows)


def _row(id: str, table: Any, path: Path) -> Checkpoint:
    where = f"{path.name}, model '{id}'"
    _check(table, where)
    return Checkpoint(
        id=id,
        name=table["name"],
        family=table["family"],
        source=table["repo"] if "repo" in table else str(path.parent.resolve() / table["folder"]),
        tasks=frozenset(_task(value, where) for value in table["tasks"]),
        parameters=table.get("parameters", 0),
        licence=table.get("licence", ""),
        knows=table.get("knows", ""),
        max_images=table.get("images"),
        context=table.get("context", 0),
    )


def _check(table: Any, where: str) -> None:
    if not isinstance(table, dict):
        raise ModelUnavailable(f"{where}: expected a table, found {table!r}.")
    known = _NEEDED | _OPTIONAL
    for key, value in table.items():
        if key not in known:
            raise ModelUnavailable(
                f"{where}: '{key}' is not a key of the catalog; known are {', '.join(known)}."
            )
        if type(value) is not known[key]:
            raise ModelUnavailable(f"{where}: '{key}' is a {known[key].__name__}, found {value!r}.")
    for key in _NEEDED:
        if key not in table:
            raise ModelUnavailable(f"{where}: '{key}' is missing.")
    if ("repo" in table) == ("folder" in table):
        raise ModelUnavailable(f"{where}: expected either 'repo' or 'folder'.")


def _task(value: Any, where: str) -> Task:
    try:
        return Task(value)
    except ValueError:
        known = ", ".join(Task)
        raise ModelUnavailable(f"{where}: {value!r} is not a task; known are {known}.") from None
