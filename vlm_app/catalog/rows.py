"""The catalog: the tables of `models/*.toml`, read and checked, and what this computer adds to them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from vlm_app.catalog import ledger
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Runs, Task

_Word = TypeVar("_Word", Task, Runs)
_PLACES = frozenset({"repo", "folder", "package"})
BUILT_IN = "pebble"  # which is there in every place
_FEW = 5  # ids that a sentence names
_NEEDED = {"name": str, "family": str, "tasks": list}
_OPTIONAL = {
    "folder": str,
    "repo": str,
    "package": str,
    "parameters": int,
    "licence": str,
    "permissive": bool,
    "knows": str,
    "images": int,
    "context": int,
    "resolution": str,
    "encoder": str,
    "connector": str,
    "backbone": str,
    "languages": list,
    "chat": bool,
    "video": bool,
    "gated": str,
    "remote_code": bool,
    "runs": str,
    "sources": list,
}


def catalog() -> Mapping[str, Checkpoint]:
    """Every row of `models/*.toml`, by id, in the order of the files and their tables.

    Then what the user added. The mapping is live: a model that is added, locked or
    checked later shows in it. Where the models are fixed it holds those of the place alone.

    Raises `ModelUnavailable` when a file cannot be read or a row holds something else
    than what `models/catalog.toml` describes.
    """
    chosen = settings()
    rows = _Catalog(chosen.models, (*chosen.offered, BUILT_IN) if chosen.fixed else ())
    len(rows)  # what is wrong is said now
    return rows


class _Catalog(Mapping[str, Checkpoint]):
    def __init__(self, folder: Path, only: tuple[str, ...]) -> None:
        self._folder = folder
        self._only = only  # the rows that there are; empty: all of them

    def _rows(self) -> Mapping[str, Checkpoint]:
        return _joined(self._folder, ledger.stamp(), self._only)

    def __getitem__(self, id: str) -> Checkpoint:
        return self._rows()[id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows())

    def __len__(self) -> int:
        return len(self._rows())


@lru_cache(maxsize=4)
def _joined(folder: Path, stamp: tuple[Any, ...], only: tuple[str, ...] = ()) -> Mapping[str, Checkpoint]:
    """The project's rows and the user's, with what was locked and checked; read again when `stamp` is new."""
    rows = dict(_read(folder))
    path = ledger.path_of("added")
    for id, table in ledger.read("added").items():
        rows.setdefault(id, replace(row(id, table, path), listed=False))
    for server, kept in ledger.read("servers").items():
        for model, table in kept.get("models", {}).items():
            found = row(f"{server}/{model}", table, ledger.path_of("servers"))
            rows[found.id] = replace(found, listed=False, server=server)
    if only:
        rows = {id: found for id, found in rows.items() if id in only}
    locks, checks = ledger.read("lock"), ledger.read("checks")
    for id, found in rows.items():
        rows[id] = replace(
            found,
            revision=str(locks.get(found.source, {}).get("revision", "")),
            checked=str(checks.get(found.source, {}).get("date", "")),
        )
    return MappingProxyType(rows)


def find(id: str, rows: Mapping[str, Checkpoint] | None = None) -> Checkpoint:
    """The row with that id; otherwise `ModelUnavailable` names those that are spelled most like it."""
    rows = catalog() if rows is None else rows
    if id not in rows:
        known = (
            list(rows) if len(rows) <= _FEW else get_close_matches(id, rows, _FEW, 0.4) or list(rows)[:_FEW]
        )
        more = f" or another of 'vlm-app models' ({len(rows)})" if len(rows) > len(known) else ""
        raise ModelUnavailable(
            f"There is no model '{id}' in the catalog; choose one of: {', '.join(known) or 'none'}{more}."
        )
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
            rows[id] = row(id, table, path)
    return MappingProxyType(rows)


def row(id: str, table: Any, path: Path) -> Checkpoint:
    """The checkpoint that a table of the file `path` describes; `ModelUnavailable` names what is wrong."""
    where = f"{path.name}, model '{id}'"
    _check(table, where)
    return Checkpoint(
        id=id,
        source=_source(table, path),
        tasks=frozenset(_one_of(Task, value, where) for value in table["tasks"]),
        runs=_one_of(Runs, table.get("runs", Runs.IN_PROCESS), where),
        max_images=table.get("images"),
        languages=_strings(table, "languages", where),
        sources=_strings(table, "sources", where),
        **{key: table[key] for key in _AS_THEY_ARE if key in table},
    )


_OF_THEIR_OWN = {"repo", "package", "folder", "tasks", "runs", "images", "languages", "sources"}
_AS_THEY_ARE = (_NEEDED | _OPTIONAL).keys() - _OF_THEIR_OWN


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
    if len(table.keys() & _PLACES) != 1:
        raise ModelUnavailable(f"{where}: expected either 'repo', 'folder' or 'package'.")
    if ("package" in table) != (table.get("runs") == Runs.PACKAGE):
        raise ModelUnavailable(
            f"{where}: a 'package' is expected where runs = '{Runs.PACKAGE}', and only there."
        )


def _source(table: dict[str, Any], path: Path) -> str:
    """A repository, the name of a package, or a folder with its whole path."""
    if "folder" in table:
        return str(path.parent.resolve() / table["folder"])
    return str(table.get("repo") or table["package"])


def _one_of(words: type[_Word], value: Any, where: str) -> _Word:
    try:
        return words(value)
    except ValueError:
        noun = "a task" if words is Task else "a way to run"
        raise ModelUnavailable(f"{where}: {value!r} is not {noun}; known are {', '.join(words)}.") from None


def _strings(table: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not all(isinstance(value, str) for value in values):
        raise ModelUnavailable(f"{where}: '{key}' is a list of texts, found {values!r}.")
    return tuple(values)
