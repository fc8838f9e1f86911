"""Folders for what an upload holds, below the data folder's cache: gone when it has been read."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from vlm_app.errors import BadInput

_LOCK = ".lock"


def workrooms() -> Path:
    """Where they lie: not among the page's uploads, which whoever knows their path may download."""
    from vlm_app.settings import settings

    return settings().data / "cache" / "datasets"


@contextmanager
def workroom() -> Iterator[Path]:
    """An empty folder for the time of the block.

    Raises `BadInput` where none can be made. If the process dies, the next `sweep` removes it.
    """
    try:
        folder, lock = _made()
    except OSError as error:
        raise BadInput(
            f"A dataset is unpacked below the data folder, which cannot be written ({error.strerror}): "
            "make room or change its permissions."
        ) from error
    try:
        yield folder / "files"
    finally:
        lock.close()
        shutil.rmtree(folder, ignore_errors=True)  # what is left, the next sweep removes


def sweep() -> None:
    """Removes the folders of processes that ended without doing it. To be called when the app starts."""
    if workrooms().is_dir():
        with _one_at_a_time():
            _sweep()


def free_bytes() -> int:
    """Bytes that are free where the folders lie."""
    return shutil.disk_usage(workrooms()).free


def _made() -> tuple[Path, IO[bytes]]:
    """A new folder, and its lock, which is held until it is closed."""
    workrooms().mkdir(parents=True, exist_ok=True)
    with _one_at_a_time():
        _sweep()
        folder = Path(tempfile.mkdtemp(dir=workrooms()))
        lock = (folder / _LOCK).open("wb")
        _locked(lock, wait=False)
    (folder / "files").mkdir()
    return folder, lock


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Nobody takes a folder for an abandoned one that is just being made."""
    with (workrooms() / _LOCK).open("ab") as file:
        _locked(file, wait=True)
        yield


def _sweep() -> None:
    for folder in workrooms().iterdir():
        with suppress(OSError):
            if folder.is_dir() and not folder.is_symlink() and _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    """Whether nobody holds its lock. That ends with its process; the number of a process comes again."""
    with (folder / _LOCK).open("ab") as lock:
        return _locked(lock, wait=False)


def _locked(file: IO[bytes], *, wait: bool) -> bool:
    """Whether the lock could be taken; it is held until the file is closed."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
