"""A folder of what can be made again: rendered pages, frames and thumbnails, bounded in bytes."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 2_000_000_000
_ROOM = 0.9  # of the limit is left after making room, so that not every file makes some

log = logging.getLogger(__name__)


class Cache:
    """Files by key. What was not used for longest goes first; what is missing is made again.

    Nothing is ever lost with it: it may vanish, or be written to by several processes.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most = most_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None  # in the folder; None: not counted yet

    def path(self, key: str) -> Path:
        """Where a file lies, beside all others that were made of the same: what stands before `/` or `@`."""
        made_of = _short(re.split("[/@]", key)[0])
        return self._folder / made_of[:2] / f"{made_of}-{_short(key)}"

    def drop(self, made_of: str) -> None:
        """Removes what was made of that: the part of its keys before `/` or `@`."""
        name = _short(made_of)
        for path in (self._folder / name[:2]).glob(f"{name}-*"):
            path.unlink(missing_ok=True)

    def get(self, key: str) -> bytes | None:
        """What was put under that key, if it is still there."""
        path = self.path(key)
        try:
            data = path.read_bytes()
            os.utime(path)  # used just now
        except OSError:
            return None
        return data or None  # a disk that lost power may have kept the name only

    def put(self, key: str, data: bytes) -> None:
        """Keeps data; where the disk refuses, it is made again the next time."""
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, data)
            self._count(len(data))
        except OSError as error:
            log.warning("the cache cannot be written: %s", error)

    def _count(self, added: int) -> None:
        with self._lock:
            known = self._bytes
            self._bytes = self._make_room() if known is None else known + added
            if self._bytes > self._most:
                self._bytes = self._make_room()

    def _make_room(self) -> int:
        """Removes the files that were used longest ago where there are too many; the bytes left."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        if total <= self._most:
            return total
        for _, size, path in files:
            if total <= self._most * _ROOM:
                break
            with suppress(OSError):  # another process may have removed it
                path.unlink()
            total -= size
        return total

    def _files(self) -> list[tuple[int, int, Path]]:
        found = []
        for path in self._folder.rglob("*"):
            with suppress(OSError):
                about = path.stat()
                if path.is_file():
                    found.append((about.st_mtime_ns, about.st_size, path))
        return found


def _short(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:40]


def _write(path: Path, data: bytes) -> None:
    handle, partial = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
