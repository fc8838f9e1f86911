"""What is written and no longer needed goes: by its age, by its size, and what a crash left.

What lasts is never judged by its age here: chats, images, files, datasets, runs and adapters go when
their owner deletes them.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vlm_app.settings import Settings
from vlm_app.store.uploads import UPLOADERS, UPLOADS

DAY = 24 * 3600.0
TEMPORARY = "vlm-app."  # how folders of ours begin in the system's folder for temporary files
_SPARED = 60.0  # seconds in which something was written just now, and stays whatever its size
_END_SECONDS = 10.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rule:
    """What matches `pattern` in `root` goes so many seconds after something was last written in it.

    Where all of it takes more than `most` bytes, the oldest goes before (None: any number).
    """

    root: Path
    pattern: str
    age: float
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has removed: files and folders, and their bytes."""

    count: int = 0
    bytes: int = 0

    def __add__(self, other: Swept) -> Swept:
        return Swept(self.count + other.count, self.bytes + other.bytes)


def rules(chosen: Settings) -> tuple[Rule, ...]:
    """The rules of a data folder. Unfinished files are named first, as they would also be uploads."""
    data, unfinished = chosen.data, 60 * chosen.unfinished_minutes
    kept = 3600 * chosen.upload_hours
    return (
        Rule(data, f"{UPLOADS}/tmp*", unfinished, chosen.upload_bytes),
        Rule(data, f"{UPLOADS}/*", kept, chosen.upload_bytes),
        Rule(data, f"{UPLOADERS}/*/*", kept + DAY),
        Rule(data, f"{UPLOADERS}/*", kept + DAY),  # empty: what it held went by the rule before, and earlier
        Rule(data, "cache/adapters/*", kept, chosen.upload_bytes),
        Rule(data, "cache/exports/*", unfinished, chosen.upload_bytes),
        Rule(data, "cache/headers/*/*", 90 * DAY),
        Rule(data, "cache/shapes/*", 90 * DAY),
        Rule(data, "cache/pages/*/.*.partial", DAY),
        Rule(data, "cache/hub/*/blobs/*.incomplete", 30 * DAY),  # a download goes on where it broke off
        Rule(data, "images/*/.*.partial", DAY),
        Rule(data, "files/.*.partial", DAY),
        Rule(data, "models/.*.json????????", DAY),
        Rule(data, "runs/.*", DAY),
        Rule(data, "runs/*/.*", DAY),
        Rule(data, "adapters/.*", DAY),
        Rule(data, "merged/*/.part", DAY),
        Rule(Path(tempfile.gettempdir()), f"{TEMPORARY}*", DAY),
    )


def sweep(rules: Sequence[Rule], now: float | None = None) -> Swept:
    """Applies the rules as if it were `now` (seconds since 1970); what cannot be removed stays."""
    now = time.time() if now is None else now
    return sum((_apply(rule, now) for rule in rules), Swept())


def _apply(rule: Rule, now: float) -> Swept:
    found = sorted((_written(path), path) for path in rule.root.glob(rule.pattern))
    sizes = {path: size_of(path) for _, path in found}
    total, swept = sum(sizes.values()), Swept()
    for written, path in found:
        too_much = rule.most is not None and total > rule.most and now - written > _SPARED
        if now - written > rule.age or too_much:
            total -= sizes[path]
            swept += Swept(1, sizes[path]) if _remove(path) else Swept()
    return swept


def _inside(path: Path) -> Iterator[os.stat_result]:
    """Of a file or folder and all that is in it. Links are not followed."""
    with suppress(OSError):
        yield path.lstat()
    if path.is_dir() and not path.is_symlink():
        for where, folders, files in os.walk(path):
            for name in (*folders, *files):
                with suppress(OSError):
                    yield os.lstat(os.path.join(where, name))


def _written(path: Path) -> float:
    """When something in it was last written; of what has vanished, that it was just now."""
    return max((each.st_mtime for each in _inside(path)), default=time.time())


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    return sum(each.st_size for each in _inside(path) if not stat.S_ISDIR(each.st_mode))


def _remove(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
    return not path.exists()


def _swept(rule: Rule) -> None:
    swept = sweep([rule])
    if swept.count:
        megabytes = swept.bytes / 1e6
        _log.info("Removed %d files and folders with %.1f MB: %s", swept.count, megabytes, rule.pattern)


class Sweeper:
    """Sweeps in a thread: the rules every few minutes, `daily` at the start and once a day."""

    def __init__(
        self, rules: Sequence[Rule], seconds: float, daily: Sequence[Callable[[], object]] = ()
    ) -> None:
        self._rules = rules
        self._seconds = seconds
        self._daily = daily
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sweeping", daemon=True)

    def start(self) -> None:
        """Begins at once."""
        self._thread.start()

    def close(self) -> None:
        """Ends after what is being removed."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(_END_SECONDS)

    def _work(self) -> None:
        looked = -DAY
        while not self._ended.is_set():
            for rule in self._rules:
                self._safely(partial(_swept, rule))
            if time.monotonic() - looked >= DAY:
                looked = time.monotonic()
                for work in self._daily:
                    self._safely(work)
            self._ended.wait(self._seconds)

    def _safely(self, work: Callable[[], object]) -> None:
        if self._ended.is_set():
            return
        try:
            work()
        except Exception:  # noqa: BLE001 - in a thread of its own: what fails now is done another time
            _log.exception("Something could not be swept")
