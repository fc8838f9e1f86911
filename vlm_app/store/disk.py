"""How much of the disk is one owner's, and whether there is room for more.

Counting asks the database and looks at folders, so it is not done for every request: a figure counts
on for a while with what is added to it, and is counted again before anything is refused. What is on its
way is reserved, so that two things that come at once do not take the same room.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from types import TracebackType

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
        self._reserved: Counter[str] = Counter()  # bytes that are on their way, and in no figure yet

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
        self.reserve(owner, more).close()

    def reserve(self, owner: str, more: int = 0) -> Reservation:
        """Keeps room for `more` bytes free until it is closed. Raises `TooMuch` as `check`."""
        allowed = limits.of(owner)
        if allowed.disk is None:
            return Reservation(self, owner, None)
        figure = self._figures.get(owner)
        recent = figure is not None and self._clock() - figure.since < FRESH
        if not recent or not self._claim(owner, more, allowed.disk):
            self.used(owner)
            if not self._claim(owner, more, allowed.disk):
                raise TooMuch(_told(allowed.disk - self.left(owner, allowed.disk), more, allowed))
        return Reservation(self, owner, allowed.disk, more)

    def left(self, owner: str, most: int) -> int:
        """Bytes of `most` for which there is room, as it was counted last."""
        with self._lock:
            return max(0, most - self._taken(owner))

    # --- inside -----------------------------------------------------------------------------

    def _claim(self, owner: str, more: int, most: int) -> bool:
        """Whether there is room beside what is reserved; then it is."""
        with self._lock:
            fits = _fits(self._taken(owner), more, most)
            self._reserved[owner] += more if fits else 0
        return fits

    def _give_back(self, owner: str, bytes: int) -> None:
        with self._lock:
            self._reserved[owner] -= bytes
            if self._reserved[owner] <= 0:
                del self._reserved[owner]

    def _taken(self, owner: str) -> int:
        figure = self._figures.get(owner)
        return self._reserved[owner] + (figure.bytes if figure else 0)


class Reservation:
    """Room for something that is being written. To be closed when it is there, or is not coming.

    `most` is all that its owner may have; None: there is no limit, and nothing to reserve.
    """

    def __init__(self, disk: Disk, owner: str, most: int | None, bytes: int = 0) -> None:
        self._disk = disk
        self._owner = owner
        self._most = most
        self._bytes = bytes
        self._written = 0

    @property
    def most(self) -> int | None:
        """Bytes that may come in all, as far as is known now; None where there is no limit."""
        return None if self._most is None else self._bytes + self._disk.left(self._owner, self._most)

    def covers(self, total: int) -> bool:
        """Whether there is room for so many bytes in all, with those that are written."""
        more = total - self._bytes
        if self._most is None or more <= 0:
            return True
        claimed = self._disk._claim(self._owner, more, self._most)
        self._bytes += more if claimed else 0
        return claimed

    def wrote(self, bytes: int) -> None:
        """So many of them are on the disk now."""
        self._disk.add(self._owner, bytes)
        if self._most is not None:
            known = min(bytes, self._bytes - self._written)
            self._disk._give_back(self._owner, known)
            self._written += known

    def close(self) -> None:
        """Gives back what was not written."""
        self._disk._give_back(self._owner, self._bytes - self._written)
        self._written = self._bytes

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
