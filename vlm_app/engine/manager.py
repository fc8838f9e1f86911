"""Which models are in memory, and who may use them.

A model loads once, however many ask for it. Its users stand in one queue: the first ones, as
many as it can answer together, hold it until their leases are released. Memory is given out in
the order in which it was asked for; models that nobody holds make room, the least recently used
one first.

One lock (`Residents.changed`) guards all of it. A second one keeps events in their order;
it may be held while the first is taken, never the other way round. Nothing that may take
long happens under the lock: plans, loads, unloads and measurements are the backend's, each
in a thread of its own or in the keeper's, and listeners are called outside it.
"""

from __future__ import annotations

import time
from itertools import islice

from vlm_app.engine.backend import Backend
from vlm_app.engine.budget import Budget
from vlm_app.engine.events import Answering, Broadcaster, Queued
from vlm_app.engine.keeper import Keeper
from vlm_app.engine.leases import Lease
from vlm_app.engine.reserving import Reservation, ReservedSlot, check, reserved
from vlm_app.engine.residents import Residents
from vlm_app.engine.slots import Slot, in_words
from vlm_app.engine.states import ModelState
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint

__all__ = ["BUSY_SECONDS", "LOAD_SECONDS", "Lease", "Manager", "ModelState"]

LOAD_SECONDS = 3600.0  # the longest wait for a model that loads: a download may be large
BUSY_SECONDS = 120.0  # the longest wait for a model that answers others, or for memory that others hold
CLOSE_SECONDS = 5.0  # for answers to end, and again for models to leave, when the app closes
_SHOWN = ("ready", "loading", "waiting", "planning", "unloading", "failed")


class Manager:
    """Loads models within a budget and hands out leases on them.

    `limit` is the most bytes that models may take together; without one it is what
    `backend.free` says. Models that nobody used for `idle_seconds` leave (0: never).
    """

    def __init__(
        self, backend: Backend, events: Broadcaster, limit: int | None = None, idle_seconds: float = 0.0
    ) -> None:
        self._models = Residents(backend, events, Budget(limit))
        self._keeper = Keeper(self._models, idle_seconds)
        self._lock = self._models.changed
        self._leases: set[Lease] = set()
        self._closed = False

    # --- using models -------------------------------------------------------------------------

    def lease(self, checkpoint: Checkpoint, precision: str = "auto") -> Lease:
        """Join the queue for a model, which begins to load where it is not.

        Raises `ModelUnavailable` when the manager is closed.
        """
        with self._lock:
            slot, new = self._slot(checkpoint, precision)
            lease = Lease(self, slot)
            lease._ahead = _ahead(slot, len(slot.queue))
            slot.queue.append(lease)
            self._leases.add(lease)
            if lease._ahead:
                self._models.tell(Queued(checkpoint.id, lease._ahead))
        self._begin(slot, new)
        return lease

    def warm(self, checkpoint: Checkpoint, precision: str = "auto") -> None:
        """Begin to load a model, and do not wait for it."""
        with self._lock:
            slot, new = self._slot(checkpoint, precision)
            slot.used = time.monotonic()
            slot.wished = slot.used + BUSY_SECONDS
        self._begin(slot, new)

    def reserve(
        self,
        bytes: int,
        name: str,
        precision: str = "",
        device: str = "cpu",
        taken: int = 0,
        work: str = "training",
    ) -> Reservation:
        """Join the line for memory of which another process makes use; see `Engine.reserve`."""
        slot = reserved(name, bytes, precision, device, taken, work)
        if not taken:
            check(slot, self.capacity())
        with self._lock:
            self._check_open()
            slot.queue.append(Lease(self, slot))  # somebody has it until it is released
            self._models.slots.append(slot)
            if not taken:
                self._models.line.append(slot)
            self._models.version += 1
            self._models.stir.set()
        self._keeper.start()
        return Reservation(self._models, slot)

    def _check_open(self) -> None:
        if self._closed:
            raise ModelUnavailable("The app is closing: start it again to ask a model.")

    def _slot(self, checkpoint: Checkpoint, precision: str) -> tuple[Slot, bool]:
        """Where to join, and whether it is new. Locked."""
        self._check_open()
        slot = self._models.find(checkpoint.id, precision)
        return (slot, False) if slot else (self._models.add(checkpoint, precision), True)

    def _begin(self, slot: Slot, new: bool) -> None:
        if new:
            self._models.start(slot)
        self._keeper.start()
        self._models.publish()

    # --- looking ------------------------------------------------------------------------------

    def state(self, checkpoint: Checkpoint) -> ModelState:
        """How a model is; in several precisions, the one that a new user would find first."""
        with self._lock:
            slots = [slot for slot in self._models.slots if slot.id == checkpoint.id]
            if slots:
                return min(slots, key=lambda slot: (not slot.open, _SHOWN.index(slot.phase))).state()
        return Slot(checkpoint, "auto", phase="gone").state()

    def states(self) -> tuple[ModelState, ...]:
        """Every model that is not unloaded."""
        with self._lock:
            return tuple(slot.state() for slot in self._models.slots)

    def leases(self) -> dict[str, int]:
        """How many hold or wait for each model; models without any are left out."""
        with self._lock:
            ids = [lease._slot.id for lease in self._leases]
        return {id: ids.count(id) for id in ids}

    def capacity(self) -> int:
        """Bytes that models could have here if all that are loaded were unloaded."""
        return self._models.capacity()

    # --- by hand ------------------------------------------------------------------------------

    def unload(self, id: str, precision: str | None = None) -> None:
        """Let a model leave once nobody uses it; until then it takes no new users.

        Without a precision, in all of them. A load that nobody waits for is cancelled.
        """
        with self._lock:
            for slot in self._meant(id, precision):
                if slot.phase == "failed":
                    self._models.drop(slot)
                elif slot.phase != "unloading":
                    slot.leaving = "asked"
                    self._models.let_go(slot)
        self._models.publish()

    def forget(self, owner: str | None) -> None:
        """Let every model forget what one owner said and showed."""
        with self._lock:
            models = [slot.model for slot in self._models.slots if slot.model]
        for model in models:
            model.forget(owner)

    def cancel(self, id: str, precision: str | None = None) -> None:
        """End a load, wherever it is; who waits for it gets a sentence."""
        with self._lock:
            for slot in [slot for slot in self._meant(id, precision) if slot.coming]:
                name = slot.checkpoint.name
                self._models.cancel(
                    slot, f"Loading {name} was cancelled: ask again, or choose another model."
                )
        self._models.publish()

    def close(self) -> None:
        """Unload everything and stop every thread; who waits gets a sentence."""
        with self._lock:
            self._closed = True
            for kept in [each for each in self._models.slots if isinstance(each, ReservedSlot)]:
                self._models.drop(kept)  # its process goes on without us
            for slot in list(self._models.slots):
                slot.leaving = "asked"
                if slot.coming:
                    self._models.cancel(slot, f"{slot.checkpoint.name} is not loaded: the app is closing.")
                elif slot.phase == "failed":
                    self._models.drop(slot)
                self._models.let_go(slot)
            self._lock.wait_for(self._empty, CLOSE_SECONDS)
            for slot in [slot for slot in self._models.slots if slot.phase == "ready"]:
                slot.error = f"{slot.checkpoint.name} is unloaded: the app is closing."
                self._models.unload(slot)
            self._lock.wait_for(self._empty, CLOSE_SECONDS)
        self._models.publish()
        self._keeper.end(CLOSE_SECONDS)

    def _meant(self, id: str, precision: str | None) -> list[Slot]:
        return [slot for slot in self._models.slots if slot.answers_to(id, precision)]

    def _empty(self) -> bool:
        return not any(slot.in_memory for slot in self._models.slots)

    # --- the queue ----------------------------------------------------------------------------

    def _ready(self, lease: Lease, seconds: float) -> bool:
        with self._lock:
            self._lock.wait_for(lambda: lease._slot.error or _among_first(lease), seconds)
            slot = lease._slot
            if slot.error:
                raise ModelUnavailable(slot.error)
            if first := _among_first(lease):
                slot.used = time.monotonic()
                self._models.tell(Answering(slot.id))
            elif lease in slot.queue:
                self._still_waiting(lease, _ahead(slot, slot.queue.index(lease)))
        self._models.publish()
        return first

    def _still_waiting(self, lease: Lease, ahead: int) -> None:
        """Every wait has an end and a sentence. Locked."""
        slot, now = lease._slot, time.monotonic()
        patience = LOAD_SECONDS if slot.phase in ("planning", "loading") else BUSY_SECONDS
        since = lease._since if slot.phase in ("planning", "loading") else max(lease._since, slot.since)
        if now - since > patience:
            raise ModelUnavailable(_out_of_patience(slot, ahead, patience, self._reserved()))
        if ahead != lease._ahead:
            lease._ahead = ahead
            self._models.tell(Queued(slot.id, ahead))

    def _reserved(self) -> str:
        """What has memory set aside and is no model, such as a training. Locked."""
        held = (each for each in self._models.slots if isinstance(each, ReservedSlot) and each.in_memory)
        return " and ".join(each.checkpoint.name for each in held)

    def _release(self, lease: Lease) -> None:
        with self._lock:
            slot = lease._slot
            self._leases.discard(lease)
            if lease not in slot.queue:
                return
            slot.queue.remove(lease)
            slot.used = time.monotonic()
            self._models.let_go(slot)
            self._lock.notify_all()
            self._models.stir.set()
        self._models.publish()


def _ahead(slot: Slot, place: int) -> int:
    """How many must end before it is the turn of whoever stands at this place of the queue."""
    return max(place - slot.room + 1, 0)


def _among_first(lease: Lease) -> bool:
    slot = lease._slot
    return slot.phase == "ready" and lease in islice(slot.queue, slot.room)


def _out_of_patience(slot: Slot, ahead: int, seconds: float, reserved: str) -> str:
    name = slot.checkpoint.name
    if slot.phase in ("planning", "loading"):
        return f"{name} is still loading after {seconds / 60:.0f} minutes; try again later."
    if slot.phase == "waiting" and slot.plan:
        waited = f"{name} waited {seconds:.0f} seconds for {in_words(slot.plan.bytes)} that"
        if reserved:
            return f"{waited} {reserved} holds: try again when it has ended, or stop it on the tab Fine-tune."
        return f"{waited} other models hold: try again in a while, or unload one of them."
    return (
        f"{name} was busy for {seconds:.0f} seconds, and {ahead} "
        f"{'requests are' if ahead > 1 else 'request is'} still ahead: "
        "try again in a while."
    )
