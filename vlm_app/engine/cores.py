"""How many threads torch's operations take, by what the thread that calls them is for.

OpenMP gives every thread that computes threads of its own, as many as there are cores. Once a process
has more of them than cores, libgomp puts them to sleep after each operation instead of letting them
wait for the next one, and waking them is most of a small model's time: a token of Pebble took 5.3
instead of 1.6 ms (benchmarks/README.md). So threads that run models share the cores, and all others
begin with the one they are on. What a thread had stays until it ends, idle or not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

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
    """Take what this thread's share has become, as other models begin and end."""
    _take(max(1, most() // max(1, _running)))


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

            _all = torch.get_num_threads()
        return _all


def _take(number: int) -> None:
    """For this thread; torch would also begin every new one with as many."""
    import torch

    if torch.get_num_threads() != number:  # asking first, or torch sets it once more at the first operation
        torch.set_num_threads(number)
        if number > 1:
            new = threading.Thread(target=torch.set_num_threads, args=(1,))
            new.start()
            new.join()
