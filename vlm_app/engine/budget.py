"""What fits beside what: decisions about memory, from what is set aside and what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from vlm_app.engine.slots import Slot


class Budget:
    """The memory that models may take: `limit` bytes (None: no limit of its own), and what is free.

    Two things count: what is set aside for models may not pass the limit, and what is set
    aside but not taken yet must be free. A model that is just coming or going has nobody
    knows how much; it counts as nothing when another is let in, and as all of it when one
    would be sent away: neither is done on a guess.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._total: int | None = None

    def fits(self, bytes: int, free: int, slots: Sequence[Slot]) -> bool:
        return self._short(bytes, free, slots, hopeful=False) <= 0

    def short(self, bytes: int, free: int, slots: Sequence[Slot]) -> int:
        """How many bytes are missing, once every load that is under way is done."""
        return self._short(bytes, free, slots, hopeful=True)

    def _short(self, bytes: int, free: int, slots: Sequence[Slot], hopeful: bool) -> int:
        reserved = sum(slot.reserved for slot in slots)
        taken = sum(slot.in_use for slot in slots if not slot.moving)
        if hopeful:
            taken += sum(slot.in_use or _weights(slot) for slot in slots if slot.moving)
        missing = bytes - (free - (reserved - taken))
        return missing if self._limit is None else max(missing, bytes - (self._limit - reserved))

    def over(self, slots: Sequence[Slot]) -> int:
        """How many bytes must leave, because a model turned out to be larger than it was estimated."""
        if self._limit is None:
            return 0
        return sum(slot.reserved for slot in slots if slot.phase != "unloading") - self._limit

    def capacity(self, free: int, slots: Sequence[Slot]) -> int:
        """Bytes that could be had if every model were unloaded.

        While memory changes hands the last quiet measurement stands. So it does while
        somebody answers, whose cache and images take for a moment what is free otherwise.
        """
        moving = any(slot.moving for slot in slots)
        now = free + sum(slot.in_use for slot in slots if not slot.stuck)
        if self._total is None or not moving:
            answering = any(slot.answering for slot in slots)
            self._total = max(self._total or 0, now) if answering else now
        return self._total if self._limit is None else min(self._limit, self._total)


def _weights(slot: Slot) -> int:
    return slot.plan.weights if slot.plan else 0


def victims(missing: int, slots: Sequence[Slot]) -> list[Slot] | None:
    """The models that have to go so that `missing` bytes come back; None where all are too few.

    First what nobody holds, the least recently used one first; then what leaves anyhow;
    then held ones, those that were chosen before first, so that the choice stays; last
    what is still loading. None is chosen without need.
    """
    missing -= sum(slot.reserved for slot in slots if slot.phase == "unloading" and not slot.stuck)
    chosen: list[Slot] = []
    got = 0
    for slot in sorted((slot for slot in slots if slot.evictable), key=_order):
        if got >= missing:
            break
        chosen.append(slot)
        got += slot.reserved
    if got < missing:
        return None
    for slot in list(chosen):
        if got - slot.reserved >= missing:
            chosen.remove(slot)
            got -= slot.reserved
    return chosen


def _order(slot: Slot) -> tuple[int, float]:
    if slot.phase == "loading":
        return (1 if slot.cancelled else 4), slot.since
    if not slot.queue:
        return 0, slot.used
    return {"asked": 1, "idle": 1, "evicted": 2, None: 3}[slot.leaving], slot.used
