"""What happens in the engine, told to whoever listens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vlm_app.engine.backend import Progress
from vlm_app.types import Finish

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Loading:
    """A model has begun to load."""

    model: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model is ready: it took so many seconds, and its weights so many bytes."""

    model: str
    seconds: float
    bytes: int
    precision: str


@dataclass(frozen=True, slots=True)
class LoadFailed:
    """A model could not be loaded, with the sentence that says why."""

    model: str
    sentence: str


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """A load has come so far."""

    model: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class WaitingForMemory:
    """A model waits until so many bytes are free, behind `ahead` others that wait for memory."""

    model: str
    bytes: int
    ahead: int


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A model has left the memory, and so many bytes are free again."""

    model: str
    bytes: int
    why: Literal["asked", "evicted", "idle"]


@dataclass(frozen=True, slots=True)
class Queued:
    """A request waits behind `ahead` others."""

    model: str
    ahead: int


@dataclass(frozen=True, slots=True)
class Answering:
    """A request has its model."""

    model: str


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer ended."""

    model: str
    finish: Finish
    tokens: int


Event = (
    Loading | LoadProgress | WaitingForMemory | Loaded | LoadFailed | Unloaded | Queued | Answering | Answered
)
Listener = Callable[[Event], None]


class Broadcaster:
    """Hands each event to every listener, in the thread in which it happens."""

    def __init__(self) -> None:
        self._listeners: tuple[Listener, ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on, until the returned function is called.

        A listener is to be quick and may be called from any thread; what it raises is
        logged and disturbs nobody.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            with self._lock:
                self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def publish(self, event: Event) -> None:
        for listener in self._listeners:
            try:
                listener(event)
            except Exception:  # noqa: BLE001 - one deaf listener must not end an answer
                _log.exception("A listener failed on %s", event)
