"""How many threads torch's operations take, by what the thread that calls them is for.

OpenMP gives every thread that computes threads of its own, as many as there are cores. Once a process
has more of them than cores, libgomp puts them to sleep after each operation instead of letting them
wait for the next one, and waking them is most of a small model's time: a token of Pebble took 5.3
instead of 1.6 ms (benchmarks/README.md). So threads that run models share the cores, and all others
begin with the one they are on. What a thread had stays until it ends, idle or not.

An operation ends when its slowest thread does, and libgomp's threads wait for one another without letting
go of their cores for some milliseconds. So one other busy program on a computer whose cores all compute
stops them again and again: an answer of Pebble took 4.4 instead of 0.05 s, a step of training 1.7 instead of
0.02 s. Models leave the cores to others that they use, and threads wait for a tenth of a millisecond
(`set_library_defaults`), after which they sleep until they are needed.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import psutil

from vlm_app.engine.devices import cores_allowed

LOOK = 0.25  # seconds between two looks at what others use
_T = TypeVar("_T")
_lock = threading.Lock()
_all = 0  # threads that torch takes by itself; 0: not asked yet
_running = 0  # threads that run a model


@contextmanager
def shared() -> Iterator[None]:
    """This thread runs a model, and takes its share of the cores: `share` says it again."""
    global _running
    most()
    with _lock:
        _running += 1
    try:
        share()
        yield
    finally:
        with _lock:
            _running -= 1


def share() -> None:
    """Take what this thread's share has become, as other models and other programs begin and end."""
    _take(max(1, min(most(), _others.left()) // max(1, _running)))


def one() -> None:
    """This thread makes what a model reads, though it may have begun with more than one."""
    most()
    _take(1)


def single() -> None:
    """From now on everything in this process does with one core."""
    global _all
    _all = 1
    _take(1)


def apart(work: Callable[[], _T]) -> _T:
    """What `work` returns, in a thread of its own that shares the cores, and is gone with its threads."""

    def begin() -> _T:
        with shared():
            return work()

    with ThreadPoolExecutor(1, "apart") as pool:
        return pool.submit(begin).result()


def most() -> int:
    """All threads that there are for models."""
    global _all
    with _lock:
        if not _all:
            import torch

            _all = max(1, int(min(torch.get_num_threads(), cores_allowed())))
        return _all


class _Others:
    """Looks now and then at what other programs use of this computer's cores."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._looked = -math.inf
        self._busy = self._own = 0.0  # seconds of processor time, of all programs and of this one
        self._left = math.inf

    def left(self) -> int:
        """Cores that others did not use lately; one of which they use less than a third is left."""
        with self._lock:
            now = time.monotonic()
            if (past := now - self._looked) >= LOOK:
                busy, own = _busy(), time.process_time()
                others = max(0.0, (busy - self._busy - (own - self._own)) / past)
                self._left = (psutil.cpu_count() or 1) - others
                self._looked, self._busy, self._own = now, busy, own
            return int(min(self._left + 1 / 3, 1e6))


def _busy() -> float:
    """Seconds of processor time of all programs since the start of this computer."""
    idle = ("idle", "iowait", "guest", "guest_nice")  # a guest's time stands in that of its user, too
    times = psutil.cpu_times()._asdict().items()
    return float(sum(seconds for name, seconds in times if name not in idle))


_others = _Others()


def _take(number: int) -> None:
    """For this thread; torch would also begin every new one with as many."""
    import torch

    if torch.get_num_threads() != number:  # asking first, or torch sets it once more at the first operation
        torch.set_num_threads(number)
        if number > 1:
            new = threading.Thread(target=torch.set_num_threads, args=(1,))
            new.start()
            new.join()
