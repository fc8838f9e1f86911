"""Which models are loaded, and who may use them.

A model loads once, however many ask for it, in a thread of its own. Its users stand in
one queue: whoever is first holds it until the lease is released. All state changes happen
under one lock; events are published outside it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from vlm_app.engine.events import Answering, Broadcaster, Loaded, LoadFailed, Loading, Queued
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import AppError, ModelUnavailable
from vlm_app.types import Checkpoint

_log = logging.getLogger(__name__)
LOAD_SECONDS = 3600.0  # the longest wait for a model that loads: a download may be large
BUSY_SECONDS = 120.0  # the longest wait for a model that answers others


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as it is now. `detail` is a sentence for a person."""

    status: Literal["unloaded", "loading", "ready", "failed"]
    detail: str
    bytes: int = 0
    precision: str = ""
    device: str = ""


@dataclass(eq=False)
class _Slot:
    checkpoint: Checkpoint
    load: Future[LoadedModel] | None = None
    ready_at: float = 0.0
    queue: deque[Lease] = field(default_factory=deque)


class Lease:
    """A place in the queue for a model, and at its head the right to use it.

    A context manager: leaving it gives the place back. A model that somebody waits for or
    holds is not unloaded.
    """

    def __init__(self, manager: Manager, slot: _Slot, load: Future[LoadedModel]) -> None:
        self._manager = manager
        self._slot = slot
        self._load = load
        self._since = time.monotonic()
        self._ahead = 0

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def model(self) -> LoadedModel:
        """The loaded model; only once `ready` has said so."""
        return self._load.result(timeout=0)

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds`; True when the model is loaded and it is our turn.

        Raises `ModelUnavailable` when loading failed, or the whole wait was too long.
        """
        return self._manager._ready(self, seconds)

    def release(self) -> None:
        """Give the place back; more than once does no harm."""
        self._manager._release(self)


class Manager:
    """Loads models and hands out leases on them."""

    def __init__(self, load: Callable[[Checkpoint], LoadedModel], events: Broadcaster) -> None:
        self._loader = load
        self._events = events
        self._changed = threading.Condition()
        self._slots: dict[str, _Slot] = {}

    def lease(self, checkpoint: Checkpoint) -> Lease:
        """Join the queue for a model, which begins to load where it is not."""
        with self._changed:
            slot = self._slots.setdefault(checkpoint.id, _Slot(checkpoint))
            load, started = self._begin(slot)
            lease = Lease(self, slot, load)
            lease._ahead = len(slot.queue)
            slot.queue.append(lease)
        if started:
            self._run(slot, load)
        if lease._ahead:
            self._events.publish(Queued(checkpoint.id, lease._ahead))
        return lease

    def warm(self, checkpoint: Checkpoint) -> None:
        """Begin to load a model, and do not wait for it."""
        with self._changed:
            slot = self._slots.setdefault(checkpoint.id, _Slot(checkpoint))
            load, started = self._begin(slot)
        if started:
            self._run(slot, load)

    def state(self, checkpoint: Checkpoint) -> ModelState:
        with self._changed:
            slot = self._slots.get(checkpoint.id)
            load = slot.load if slot else None
        if load is None:
            return ModelState("unloaded", f"{checkpoint.name} is not loaded.")
        if not load.done():
            return ModelState("loading", f"{checkpoint.name} is loading.")
        if error := load.exception():
            return ModelState("failed", str(error))
        ready = load.result()
        return ModelState("ready", f"{checkpoint.name} is ready.", ready.bytes, ready.precision, ready.device)

    def leases(self) -> dict[str, int]:
        """How many hold or wait for each model; models without any are left out."""
        with self._changed:
            return {id: len(slot.queue) for id, slot in self._slots.items() if slot.queue}

    # --- loading -------------------------------------------------------------------------

    def _begin(self, slot: _Slot) -> tuple[Future[LoadedModel], bool]:
        """The load to wait for, and whether it is new; a failed one is tried again. Locked."""
        if slot.load is None or (slot.load.done() and slot.load.exception() is not None):
            slot.load = Future()
            return slot.load, True
        return slot.load, False

    def _run(self, slot: _Slot, load: Future[LoadedModel]) -> None:
        name = f"load {slot.checkpoint.id}"
        threading.Thread(target=self._work, args=(slot, load), name=name, daemon=True).start()

    def _work(self, slot: _Slot, load: Future[LoadedModel]) -> None:
        id, begun = slot.checkpoint.id, time.monotonic()
        self._events.publish(Loading(id))
        sentence = ""
        try:
            ready = self._loader(slot.checkpoint)
        except AppError as error:
            sentence = error.sentence
        except BaseException:  # noqa: BLE001 - whatever it was, nobody may wait for it for ever
            _log.exception("Loading %s failed", id)
            sentence = (
                f"{slot.checkpoint.name} could not be loaded by a fault in the app; choose another model."
            )
        with self._changed:
            slot.ready_at = time.monotonic()
            if sentence:
                load.set_exception(ModelUnavailable(sentence))
            else:
                load.set_result(ready)
            self._changed.notify_all()
        if sentence:
            self._events.publish(LoadFailed(id, sentence))
        else:
            self._events.publish(Loaded(id, slot.ready_at - begun, ready.bytes, ready.precision))

    # --- the queue -----------------------------------------------------------------------

    def _ready(self, lease: Lease, seconds: float) -> bool:
        slot = lease._slot
        with self._changed:
            first = self._changed.wait_for(lambda: lease._load.done() and slot.queue[0] is lease, seconds)
            ahead = slot.queue.index(lease)
        if lease._load.done() and (error := lease._load.exception()):
            raise ModelUnavailable(str(error))  # a new one: many may wait, each has its own traceback
        if first:
            self._events.publish(Answering(slot.checkpoint.id))
            return True
        self._check_patience(lease, ahead)
        if ahead != lease._ahead:
            lease._ahead = ahead
            self._events.publish(Queued(slot.checkpoint.id, ahead))
        return False

    def _check_patience(self, lease: Lease, ahead: int) -> None:
        """Every wait has an end and a sentence."""
        name, now = lease._slot.checkpoint.name, time.monotonic()
        if not lease._load.done():
            if now - lease._since > LOAD_SECONDS:
                raise ModelUnavailable(
                    f"{name} is still loading after {LOAD_SECONDS / 60:.0f} minutes; try again later."
                )
        elif now - max(lease._since, lease._slot.ready_at) > BUSY_SECONDS:
            raise ModelUnavailable(
                f"{name} was busy for {BUSY_SECONDS:.0f} seconds, and {ahead} requests are still ahead: "
                "try again in a while."
            )

    def _release(self, lease: Lease) -> None:
        with self._changed:
            if lease in lease._slot.queue:
                lease._slot.queue.remove(lease)
                self._changed.notify_all()
