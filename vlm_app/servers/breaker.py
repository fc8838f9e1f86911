"""How a server has been lately, and whether it is asked at all (a circuit breaker).

After three failures in a row a server rests: for half a minute, then twice as long each
time, five minutes at most. The first request after that tries it again.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime

from vlm_app.errors import ModelUnavailable

FAILURES = 3
REST = 30.0  # seconds
LONGEST_REST = 300.0


@dataclass(frozen=True, slots=True)
class Health:
    """Times are `time.monotonic()` seconds; `latency` is that of the last first answer, in seconds."""

    failures: int = 0  # in a row
    latency: float | None = None
    error: str = ""  # the last one's sentence; empty once it answered again
    at: float = 0.0  # when it was last asked
    rests_until: float = 0.0

    @property
    def resting(self) -> bool:
        return time.monotonic() < self.rests_until


_lock = threading.Lock()
_known: dict[str, Health] = {}


def health(server: str) -> Health:
    """Of the server of that name; a new one where it was not asked yet."""
    with _lock:
        return _known.get(server, Health())


def check(server: str) -> None:
    """Raises `ModelUnavailable` while the server rests: what it does and when it is tried again."""
    now = health(server)
    if now.resting:
        again = datetime.fromtimestamp(time.time() + now.rests_until - time.monotonic())
        raise ModelUnavailable(
            f"The server '{server}' failed {now.failures} times in a row and is left alone until "
            f"{again:%H:%M:%S}; then the next question tries it again. Last: {now.error}"
        )


def answered(server: str, latency: float) -> None:
    """It answered, after so many seconds."""
    with _lock:
        _known[server] = Health(latency=latency, at=time.monotonic())


def failed(server: str, error: str, broken: bool) -> None:
    """It did not. Only what is `broken` (no connection, a stall, 5xx) counts towards a rest."""
    with _lock:
        old = _known.get(server, Health())
        if old.resting:  # what was under way when it began to rest failed for the same reason
            _known[server] = replace(old, error=error, at=time.monotonic())
            return
        failures = old.failures + 1 if broken else old.failures
        doubled = min(max(failures - FAILURES, 0), 10)  # more is longer than the longest, and soon no float
        rest = min(REST * 2**doubled, LONGEST_REST) if failures >= FAILURES else 0.0
        until = time.monotonic() + rest if broken and rest else old.rests_until
        _known[server] = replace(old, failures=failures, error=error, at=time.monotonic(), rests_until=until)


def forget(server: str) -> None:
    """Its address or key was changed, or it is gone."""
    with _lock:
        _known.pop(server, None)
