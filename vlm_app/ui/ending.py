"""How the app ends: on SIGTERM or Ctrl-C nothing new begins, answers get a while, runs keep a checkpoint.

A second signal shortens all waits. The same as process 1 of a container, where a signal without a
handler would not even be noticed.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Protocol

from vlm_app.errors import AppError
from vlm_app.ui.running import Running

ANSWER_SECONDS = 10.0  # for running answers to come to their end by themselves
KEPT_SECONDS = 3.0  # for those that were stopped then to be kept, and for all to be told of the end
RUN_SECONDS = 20.0  # from the signal on, for a run to end with a checkpoint
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_LOOK_SECONDS = 0.1


def leave_at_once() -> None:
    """Until `Signals` listens, a signal ends the process: it has begun nothing that could be lost."""
    for number in _SIGNALS:
        signal.signal(number, lambda *_: sys.exit(0))


class Signals:
    """SIGTERM and SIGINT of this process, in the order in which they came."""

    def __init__(self) -> None:
        self._came: SimpleQueue[int] = SimpleQueue()  # may be put into while it is waited for
        self._process = os.getpid()

    def listen(self) -> None:
        """From now on; only to be called in the main thread."""
        for number in _SIGNALS:
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:  # a worker that was forked has this handler, too
            os._exit(128 + number)
        self._came.put(number)

    def wait(self, seconds: float | None = None) -> bool:
        """Waits for the next one; False where none came within so many seconds."""
        try:
            self._came.get(timeout=seconds)
        except Empty:
            return False
        return True


class Workshop(Protocol):
    """What is asked of fine-tuning."""

    def pause(self) -> None: ...
    def trains(self) -> bool: ...


def finish(running: Running, workshop: Workshop, signals: Signals) -> None:
    """Lets answers and runs end, each in its time; afterwards everything can be closed."""
    begun = time.monotonic()
    print(f"vlm-app is ending: answers get {ANSWER_SECONDS:.0f} s (a further signal: at once)", flush=True)
    running.close()
    try:
        workshop.pause()
    except AppError as error:  # a full disk: what trains will be found broken off, with its last checkpoint
        print(error.sentence, flush=True)
    patient = _wait(lambda: running.busy, ANSWER_SECONDS, signals)
    running.stop_all()
    _wait(lambda: running.busy or running.awaited, KEPT_SECONDS, signals)
    if patient:
        _wait(workshop.trains, begun + RUN_SECONDS - time.monotonic(), signals)


def _wait(busy: Callable[[], bool], seconds: float, signals: Signals) -> bool:
    """Waits until it is no longer busy, at most so long; False where a further signal came first."""
    until = time.monotonic() + seconds
    while busy() and time.monotonic() < until:
        if signals.wait(_LOOK_SECONDS):
            return False
    return True
