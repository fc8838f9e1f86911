"""How much of the disk is one owner's, and whether there is room for more.

Counting asks the database and looks at folders, so it is not done for every request: a figure counts
on for a while with what is added to it, and is counted again before anything is refused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from vlm_app import limits
from vlm_app.errors import TooMuch

Count = Callable[[str], int]  # bytes of an owner

FRESH = 30.0  # seconds for which a figure is believed
MOST = 5_000  # figures that are kept


@dataclass(frozen=True, slots=True)
class _Figure:
    bytes: int
    since: float


class Disk:
    """The disk as owners share it. Who keeps something for them says by `also` how it is counted."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._counts: dict[str, Count] = {}
        self._clock = clock
        self._lock = Lock()
        self._figures: dict[str, _Figure] = {}

    def also(self, what: str, count: Count) -> None:
        """One more thing that takes room; the same thing is counted once."""
        self._counts[what] = count

    def used(self, owner: str) -> int:
        """Bytes of all that is kept for an owner, counted now."""
        figure = _Figure(sum(count(owner) for count in list(self._counts.values())), self._clock())
        with self._lock:
            if len(self._figures) >= MOST:
                self._figures.clear()
            self._figures[owner] = figure
        return figure.bytes

    def add(self, owner: str, bytes: int) -> None:
        """So much was written for an owner."""
        with self._lock:
            before = self._figures.get(owner)
            if before is not None:
                self._figures[owner] = _Figure(before.bytes + bytes, before.since)

    def check(self, owner: str, more: int = 0) -> None:
        """Raises `TooMuch` where `more` bytes would be beyond the owner's limit, or it is reached."""
        allowed = limits.of(owner)
        if allowed.disk is None:
            return
        figure = self._figures.get(owner)
        recent = figure is not None and self._clock() - figure.since < FRESH
        if figure is not None and recent and _fits(figure.bytes, more, allowed.disk):
            return
        used = self.used(owner)
        if not _fits(used, more, allowed.disk):
            raise TooMuch(_told(used, more, allowed))

    def left(self, owner: str) -> int | None:
        """Bytes for which there is room, counted now; None where there is no limit."""
        most = limits.of(owner).disk
        return None if most is None else max(0, most - self.used(owner))


def _fits(used: int, more: int, most: int) -> bool:
    return used < most and used + more <= most


def _told(used: int, more: int, allowed: limits.Limits) -> str:
    extra = f" and this takes {mb(more)} more" if more else ""
    return (
        f"At most {mb(allowed.disk or 0)} are kept for {allowed.a_role}, you have {mb(used)}{extra}: "
        "delete chats, sheets, datasets, runs or adapters that you no longer need, and try again."
    )


def mb(count: int) -> str:
    """'0.4 MB', '500 MB', '5 GB'."""
    return f"{count / 1e9:,.3g} GB" if count >= 1e9 else f"{count / 1e6:,.3g} MB"


def size_of(path: Path) -> int:
    """Bytes of a file; 0 where it is gone."""
    try:
        return path.stat().st_size
    except OSError:
        return 0


def size_below(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where it is gone. Links are not followed."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total
