"""Wrong passwords slow down whoever sends them, and lock them out for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from vlm_app.errors import NotAllowed

FREE = 3  # wrong passwords that cost no wait
NAME_WAIT, ADDRESS_WAIT = 60.0, 15 * 60.0  # longest waits, in seconds: nobody can keep another out for long
FORGOTTEN = 30 * 60.0  # seconds after the last wrong one
MOST = 20_000  # names and addresses that are remembered


@dataclass
class _Failures:
    count: int
    until: float  # when the next attempt is heard
    at: float


class Attempts:
    """The failures of late, by name and by address. Waits double with each of them.

    A right password does not help before the wait is over, so that guessing in many connections
    at once wins nothing.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, _Failures] = {}

    def begin(self, name: str, address: str) -> None:
        """Counts the attempt as a failure until it is `passed`. Raises `NotAllowed` while there is a wait."""
        now = self._clock()
        with self._lock:
            wait = max((self._failures[key].until - now for key in self._known(name, address)), default=0.0)
            if wait > 0:
                raise NotAllowed(f"There were too many wrong passwords: try again in {_words(wait)}.")
            self._sweep(now)
            self._failed(f"name {name}", NAME_WAIT, now)
            if address:
                self._failed(f"address {address}", ADDRESS_WAIT, now)

    def passed(self, name: str, address: str) -> None:
        """The password was right."""
        with self._lock:
            for key in self._known(name, address):
                del self._failures[key]

    def _known(self, name: str, address: str) -> list[str]:
        keys = [f"name {name}", *([f"address {address}"] if address else [])]
        return [key for key in keys if key in self._failures]

    def _failed(self, key: str, longest: float, now: float) -> None:
        before = self._failures.pop(key, None)  # so that the oldest stands first
        count = before.count + 1 if before else 1
        wait = min(2.0 ** min(count - FREE, 30), longest) if count > FREE else 0.0
        self._failures[key] = _Failures(count, now + wait, now)

    def _sweep(self, now: float) -> None:
        """The oldest go: after a while, and where somebody tries many names. Looks at no others."""
        while self._failures:
            oldest, failures = next(iter(self._failures.items()))
            if now - failures.at <= FORGOTTEN and len(self._failures) < MOST - 1:  # two may be added
                return
            del self._failures[oldest]


def _words(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 120 else f"{round(whole / 60)} minutes"
