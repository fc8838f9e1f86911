"""Checkpoints of a run: a folder counts once its last file is there, so none is ever half."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WHOLE = "whole.json"  # written last
_BEST = "best"  # the adapter of the best evaluation so far
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def finish(folder: Path, step: int, best: Mapping[str, Any]) -> None:
    """Mark the checkpoint of a step as whole; `best` is what is known of the best evaluation."""
    _write(folder / f"checkpoint-{step}" / _WHOLE, json.dumps({"step": step, "best": best}))


def known(checkpoint: Path) -> dict[str, Any]:
    """What was known of the best evaluation."""
    read: dict[str, Any] = json.loads((checkpoint / _WHOLE).read_text(encoding="utf-8"))["best"]
    return read


def last(folder: Path) -> Path | None:
    """The newest whole checkpoint. What was cut off in the middle is removed."""
    newest: Path | None = None
    found = folder.glob("checkpoint-*") if folder.is_dir() else ()
    for path in sorted(found, key=_step):
        if (path / _WHOLE).is_file():
            newest = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return newest


def step(checkpoint: Path) -> int:
    """How many steps it holds."""
    return _step(checkpoint)


def best(folder: Path) -> Path:
    """Where the adapter of the best evaluation is kept."""
    return folder / _BEST


def out_of_room(error: BaseException) -> bool:
    """Whether this is how a full disk shows: safetensors and torch have words of their own for it."""
    if isinstance(error, OSError):
        return error.errno in _FULL
    found = re.search(r"\(os error (\d+)\)", str(error))
    if found:
        return int(found[1]) in _FULL
    return "inline_container" in str(error) and "iostream error" in str(error.__context__)


def _step(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdigit() else -1


def _write(path: Path, text: str) -> None:
    """All of it or nothing, and on the disk when this returns."""
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
