"""Folders for the weights that stay on the disk while a model runs."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vlm_app.settings import settings


@contextmanager
def offload_folder() -> Iterator[Path]:
    """A new folder, under the cache of the data folder; those that crashed processes left are removed."""
    root = _root()
    root.mkdir(parents=True, exist_ok=True)
    sweep_offloaded()
    folder = Path(tempfile.mkdtemp(prefix=f"{_this_process()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep_offloaded() -> None:
    """Removes the folders of processes that crashed."""
    for folder in _root().iterdir() if _root().is_dir() else ():
        if not _running(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _root() -> Path:
    return settings().data / "cache" / "offload"


def _this_process() -> str:
    import psutil

    process = psutil.Process()
    return f"{process.pid}-{process.create_time():.0f}"


def _running(name: str) -> bool:
    """Whether the process that made a folder of this name still runs; a number alone is used again."""
    import psutil

    pid, _, rest = name.partition("-")
    if not pid.isdecimal() or not psutil.pid_exists(int(pid)):
        return False
    try:
        return rest.startswith(f"{psutil.Process(int(pid)).create_time():.0f}-")
    except psutil.Error:  # it ended meanwhile, or is not ours: then the folder is not, either
        return True
