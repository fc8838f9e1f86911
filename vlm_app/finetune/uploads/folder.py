"""A dataset as a folder: its files of rows, and its pictures, none of them from outside of it."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vlm_app.errors import BadInput
from vlm_app.finetune.uploads.rows import BadRow, printable

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet")
MOST_TABLES = 1_000  # files of rows
MOST_FOLDERS = 10_000
_SEARCHED = 50  # folders in which a bare name is looked for
_SPLITS = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "validation": "valid",
    "val": "valid",
    "dev": "valid",
    "test": "test",
    "testing": "test",
}
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# What lies in many datasets and holds no rows.
_OTHER = re.compile(r"(dataset_infos?|state|tokenizer|config|package|.*\.schema)\.json", re.IGNORECASE)


class Folder:
    """Files below `root`. `alone` says that there is only one, sent without any pictures beside it."""

    def __init__(self, root: Path, alone: Path | None = None) -> None:
        self._root = Path(os.path.realpath(root))
        self.alone = alone
        self._folders: list[Path] | None = None

    def tables(self) -> list[Path]:
        """The files that may hold rows, in the order of their names. Links are not followed."""
        if self.alone is not None:
            return [self.alone]
        found = sorted(path for path in self._walk() if _is_table(path))
        if len(found) > MOST_TABLES:
            raise BadInput(
                f"A dataset has at most {MOST_TABLES:,} files of rows, found {len(found):,}: join some."
            )
        return found

    def name_of(self, table: Path) -> str:
        """How a person knows a file."""
        return table.name if self.alone is not None else table.relative_to(self._root).as_posix()

    def picture(self, name: str, table: Path) -> Path:
        """The file of a picture that a row of `table` names.

        It is looked for beside the table, then from the top of the dataset, then in its other folders.
        Raises `BadRow` where it is not there, or would lie outside.
        """
        relative = _relative(name)
        if self.alone is not None:
            raise BadRow(
                f"its picture {_shown(name)} did not come along: "
                "give a zip or folder of the file and its pictures"
            )
        for folder in (table.parent, self._root):
            if (found := self._file(folder / relative)) is not None:
                return found
        others = (self._file(folder / relative) for folder in self._searched())
        found_there = sorted({path for path in others if path is not None})
        if len(found_there) > 1:
            raise BadRow(f"its picture {_shown(name)} is there in several folders: write the folder, too")
        if not found_there:
            raise BadRow(f"its picture {_shown(name)} is not there")
        return found_there[0]

    def _file(self, path: Path) -> Path | None:
        """The plain file of that path, or None. Raises `BadRow` where it lies outside or is a device."""
        try:
            kind = path.stat().st_mode
        except (OSError, ValueError):  # not there, no rights, a loop of links, a NUL, too long
            return None
        real = Path(os.path.realpath(path))
        if not real.is_relative_to(self._root):
            raise BadRow(f"its picture {_shown(path.name)} is a link that leads out of the dataset")
        if stat.S_ISDIR(kind):
            return None
        if not stat.S_ISREG(kind):
            raise BadRow(f"its picture {_shown(path.name)} is a device and no file")
        return real

    def _searched(self) -> list[Path]:
        if self._folders is None:
            folders = [Path(folder) for folder, _, _ in os.walk(self._root)]
            self._folders = folders if len(folders) <= _SEARCHED else []
        return self._folders

    def _walk(self) -> Iterator[Path]:
        for count, (folder, folders, files) in enumerate(os.walk(self._root)):
            if count > MOST_FOLDERS:
                raise BadInput(f"A dataset has at most {MOST_FOLDERS:,} folders: give the one that is meant.")
            folders[:] = [one for one in folders if not one.startswith((".", "__MACOSX"))]
            for file in files:
                path = Path(folder, file)
                if not file.startswith(".") and path.is_file() and not path.is_symlink():
                    yield path


def split_of(name: str) -> str:
    """The split that a file's name or folder says: train, valid, test, or ''."""
    words = re.split(r"[^a-z]+", PurePosixPath(name).as_posix().casefold())
    return next((_SPLITS[word] for word in reversed(words) if word in _SPLITS), "")


def _is_table(path: Path) -> bool:
    return path.suffix.casefold() in SUFFIXES and not _OTHER.fullmatch(path.name)


def _relative(name: str) -> PurePosixPath:
    """A name as a path within the dataset. Raises `BadRow`."""
    if _ADDRESS.match(name):
        raise BadRow(f"its picture {_shown(name)} is an address, which is not fetched: download it first")
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or name[1:2] == ":":
        raise BadRow(f"its picture {_shown(name)} is an absolute path: write it from the dataset's folder on")
    if ".." in path.parts:
        raise BadRow(f"its picture {_shown(name)} leads out of the dataset: write it without '..'")
    if not path.parts:
        raise BadRow("the name of its picture is empty")
    return path


def _shown(name: str) -> str:
    plain = printable(name)
    return f"“{plain}”" if len(plain) <= 80 else f"“…{plain[-79:]}”"
