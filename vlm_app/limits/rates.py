"""Requests a minute: each key has a bucket that fills steadily and is emptied by what is asked."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

MOST = 20_000  # buckets; full ones are dropped first, as they say nothing
MINUTE = 60.0


class Rates:
    """How much each key has asked lately. `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # what is left, and when that was so

    def wait(self, key: str, a_minute: int) -> float:
        """Takes one of `a_minute`; 0.0, or the seconds until one is there again, and none is taken."""
        now = self._clock()
        with self._lock:
            left, since = self._buckets.get(key, (float(a_minute), now))
            left = min(float(a_minute), left + (now - since) * a_minute / MINUTE)
            taken = left >= 1.0
            self._buckets[key] = (left - 1.0 if taken else left, now)
            if len(self._buckets) > MOST:
                self._forget(now)
        return 0.0 if taken else (1.0 - left) * MINUTE / a_minute

    def _forget(self, now: float) -> None:
        """Drops who was silent for a minute, and is full again; then the longest silent."""
        kept = {key: each for key, each in self._buckets.items() if now - each[1] < MINUTE}
        late = set(sorted(kept, key=lambda key: kept[key][1])[: max(0, len(kept) - MOST // 2)])
        self._buckets = {key: each for key, each in kept.items() if key not in late}
