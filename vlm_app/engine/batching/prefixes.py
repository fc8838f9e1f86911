"""The beginnings of prompts whose keys and values are still there.

A follow-up begins with all that was said before, images included: its prefill goes on where
the last answer ended. Entries are by owner, adapter and images; tokens decide the rest, so a
changed history is used as far as it is the same.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable
from dataclasses import dataclass, replace

from vlm_app.engine.batching.caches import Kept, bytes_of
from vlm_app.engine.batching.rows import Row


@dataclass(frozen=True, slots=True, eq=False)
class Prefix:
    """A row that was kept: its tokens, those of its prompt, and its keys and values."""

    owner: str | None
    key: Hashable
    ids: list[int]
    prompt: int
    kept: Kept
    bytes: int
    beside: bool = False  # whether it lies in the computer's own memory, not on the model's device


class Prefixes:
    """What is kept of one model's answers: at most `most` bytes on its device, `beside` in other memory.

    The least recently used one leaves first. `placeholders` are the tokens that stand for
    images: behind a prefix there may be none, for their images would have to be seen.
    """

    def __init__(self, placeholders: frozenset[int], most: int, beside: int = 0) -> None:
        self._placeholders = placeholders
        self._most = most
        self._beside = beside
        self._entries: list[Prefix] = []  # least recently used first
        self._forgotten = 0  # how often somebody was
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """On the model's device."""
        return sum(each.bytes for each in self._entries if not each.beside)

    @property
    def count(self) -> int:
        return len(self._entries)

    def find(self, row: Row) -> tuple[Prefix, int] | None:
        """What a prompt can go on from, and how many of its tokens that are; None: nothing."""
        with self._lock:
            alike = [each for each in self._entries if each.key == _key(row)]
            if not alike:
                return None
            entry = max(reversed(alike), key=lambda each: _common(each.ids, row.ids))
            same = min(_common(entry.ids, row.ids), len(row.ids) - 1)  # the last one's logits are wanted
            if same < 1 or not self._fits(row, entry, same):
                return None
            self._entries.remove(entry)
            self._entries.append(entry)
        return entry, same

    def make_room(self, row: Row, bytes: int, spare: int) -> bool:
        """Whether `bytes` of the device may be kept of a row that ended, with so many to spare.

        What the row goes on from leaves, and older ones do where it needs their room.
        """
        with self._lock:
            # The row has all that these have.
            old = [each for each in self._entries if each.key == _key(row) and _begins(row.ids, each.ids)]
            most = min(self._most, self.bytes + spare)
            if bytes > most:
                return False
            self._entries = [each for each in self._entries if each not in old]
            leaving, forgotten = self._oldest(self.bytes + bytes - most), self._forgotten
        moved = [_moved(each) for each in leaving] if self._beside else []
        with self._lock:
            if forgotten == self._forgotten:  # else they may be of whom nothing is kept
                self._entries = [*moved, *self._entries]
            while sum(each.bytes for each in self._entries if each.beside) > self._beside:
                self._entries.remove(next(each for each in self._entries if each.beside))
        return True

    def _oldest(self, bytes: int) -> list[Prefix]:
        """Takes out the least recently used ones of the device, until so many bytes are free. Locked."""
        leaving: list[Prefix] = []
        while bytes > sum(each.bytes for each in leaving):
            leaving.append(next(each for each in self._entries if not each.beside))
            self._entries.remove(leaving[-1])
        return leaving

    def keep(self, row: Row, kept: Kept) -> None:
        """Remember a row that ended, for which there is room."""
        ids = row.ids[:-1]  # the last one was chosen, and not read
        entry = Prefix(row.owner, _key(row), ids, row.prompt, kept, bytes_of(kept))
        with self._lock:
            self._entries.append(entry)

    def forget(self, owner: str | None) -> None:
        """Let go of what was said by one owner."""
        with self._lock:
            self._forgotten += 1
            self._entries = [each for each in self._entries if each.owner != owner]

    def clear(self) -> int:
        """Let go of everything; how many bytes of the device that were."""
        with self._lock:
            freed = self.bytes
            self._entries = []
        return freed

    def _fits(self, row: Row, entry: Prefix, same: int) -> bool:
        """Whether all images lie before the end of what is the same."""
        if same >= entry.prompt:
            return True
        return bool(self._placeholders) and self._placeholders.isdisjoint(row.ids[same:])


def _key(row: Row) -> Hashable:
    return row.owner, row.adapter_id, row.visual


def _begins(ids: list[int], with_: list[int]) -> bool:
    return ids[: len(with_)] == with_


def _moved(prefix: Prefix) -> Prefix:
    """The same in the computer's own memory."""
    kept = tuple(pair and (pair[0].to("cpu"), pair[1].to("cpu")) for pair in prefix.kept)
    return replace(prefix, kept=kept, beside=True)


def _common(one: list[int], other: list[int]) -> int:
    """How many first tokens are the same."""
    shorter = min(len(one), len(other))
    if one[:shorter] == other[:shorter]:
        return shorter
    return next(place for place in range(shorter) if one[place] != other[place])
