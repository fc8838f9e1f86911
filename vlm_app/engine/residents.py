"""The models in memory and on their way: planned, loaded and unloaded in threads of their own.

A slot goes from planning to the line for memory, to loading, ready, unloading and gone.
`Keeper` lets it in from the line; everything else happens here. Methods that say 'Locked'
want the lock held by their caller.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import partial

from vlm_app.engine.backend import Backend, Plan, Progress, Watch
from vlm_app.engine.budget import Budget
from vlm_app.engine.events import Broadcaster, Event, Loaded, LoadFailed, LoadProgress, Unloaded
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.slots import Slot, in_words
from vlm_app.errors import AppError, ModelUnavailable
from vlm_app.types import Checkpoint

_log = logging.getLogger(__name__)
_PROGRESS_SECONDS = 0.25  # between two events about one load, at least


class Residents:
    """Every slot, the line for memory, and the one lock over both: `changed`."""

    def __init__(self, backend: Backend, events: Broadcaster, budget: Budget) -> None:
        self.backend = backend
        self.budget = budget
        self.changed = threading.Condition()
        self.slots: list[Slot] = []
        self.line: list[Slot] = []  # planned, and waiting for memory: first come, first served
        self.version = 0  # of what is in memory: a measurement is worth what its version is
        self.stir = threading.Event()  # there may be something for the keeper to do
        self._events = events
        self._told: deque[Event] = deque()
        self._telling = threading.RLock()

    # --- events: told under the lock, published outside it, in the order in which they were told ---

    def tell(self, event: Event) -> None:
        self._told.append(event)

    def publish(self) -> None:
        """Hand out what was told; never with the lock held, for listeners may take it."""
        with self._telling:
            while self._told:
                self._events.publish(self._told.popleft())

    # --- slots ------------------------------------------------------------------------------

    def find(self, id: str, precision: str) -> Slot | None:
        """Where a new user of a model may join. Locked."""
        return next((slot for slot in self.slots if slot.open and slot.answers_to(id, precision)), None)

    def add(self, checkpoint: Checkpoint, precision: str) -> Slot:
        """A new slot, for which `start` is to be called without the lock. Locked."""
        for old in [slot for slot in self.slots if slot.phase == "failed" and slot.id == checkpoint.id]:
            self._remove(old)
        slot = Slot(checkpoint, precision, asked={precision})
        slot.watch = Watch(partial(self._heard, slot))
        self.slots.append(slot)
        return slot

    def start(self, slot: Slot) -> None:
        thread = threading.Thread(target=self._work, args=(slot,), name=f"load {slot.id}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the computer is out of threads
            _log.exception("Loading %s could not start", slot.id)
            self._fail(slot, f"{slot.checkpoint.name} could not be loaded: the computer has no thread left.")

    def same(self, slot: Slot) -> Slot | None:
        """Another slot with the same weights, which whoever waits for this one can join. Locked."""
        others = (other for other in self.slots if other.open and other.same_weights(slot))
        return next((other for other in others if slot.open or other.in_memory), None)

    def merge(self, slot: Slot, other: Slot) -> None:
        """Whoever waits for `slot` waits for `other`, which has the same weights. Locked.

        In the order in which they came, behind whoever has the model already.
        """
        for lease in slot.queue:
            lease._slot = other
        holding = min(other.room, len(other.queue)) if other.phase == "ready" else 0
        holders = [other.queue.popleft() for _ in range(holding)]
        behind = sorted((*other.queue, *slot.queue), key=lambda lease: lease._since)
        other.queue = deque((*holders, *behind))
        other.asked |= slot.asked
        other.wished = max(other.wished, slot.wished)
        slot.queue.clear()
        self.drop(slot)

    def drop(self, slot: Slot) -> None:
        """A slot that has no memory is forgotten. Locked."""
        slot.enter("gone")
        self._remove(slot)

    def give_up(self, slot: Slot, sentence: str) -> None:
        """Nothing comes of a slot that has no memory; who waits is told why. Locked."""
        slot.error = sentence
        slot.enter("failed")
        if slot in self.line:
            self.line.remove(slot)
        self.tell(LoadFailed(slot.id, sentence))
        self._stirred()

    def cancel(self, slot: Slot, sentence: str) -> None:
        """End a load: who waits is told at once, its memory is back when it really ends. Locked."""
        slot.cancelled = True
        slot.error = sentence
        slot.watch.cancel()
        if slot.phase != "loading":
            self.drop(slot)
        self.tell(LoadFailed(slot.id, sentence))
        self._stirred()

    def let_go(self, slot: Slot) -> None:
        """A slot that is to leave does so once nobody uses it. Locked.

        One that is to make room waits for the keeper: perhaps nobody needs the room any more.
        """
        if slot.leaving in (None, "evicted") or slot.queue:
            return
        if slot.phase == "ready":
            self.unload(slot)
        elif slot.coming:
            self.cancel(slot, f"Loading {slot.checkpoint.name} was cancelled: ask again when you need it.")

    def unload(self, slot: Slot) -> None:
        """Unload a slot in a thread of its own. Locked."""
        slot.enter("unloading")
        thread = threading.Thread(target=self._unload, args=(slot,), name=f"unload {slot.id}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # out of threads: the keeper tries again
            _log.exception("Unloading %s could not start", slot.id)
            slot.enter("ready")

    def capacity(self) -> int:
        """Bytes that models could have if all were unloaded."""
        for _ in range(3):  # a model that comes or goes meanwhile would be counted twice, or not at all
            with self.changed:
                version = self.version
            free = self.backend.free()
            with self.changed:
                if version == self.version:
                    break
        with self.changed:
            return self.budget.capacity(free, self.slots)

    def spare(self) -> int:
        """Bytes that nothing is set aside for just now."""
        free = self.backend.free()
        with self.changed:
            return max(0, -self.budget.short(0, free, self.slots))

    def shed(self) -> bool:
        """Let go of what models keep for follow-ups; whether there was anything. Locked."""
        freed = sum(slot.model.shed() for slot in self.slots if slot.model)
        self.version += bool(freed)
        return freed > 0

    def _remove(self, slot: Slot) -> None:
        self.slots.remove(slot)
        if slot in self.line:
            self.line.remove(slot)
        self._stirred()

    def _stirred(self) -> None:
        self.changed.notify_all()
        self.stir.set()

    # --- in the thread of a load ----------------------------------------------------------------

    def _work(self, slot: Slot) -> None:
        sentence = ""
        try:
            self._load(slot)
        except AppError as error:
            sentence = error.sentence
        except BaseException:  # noqa: BLE001 - whatever it was, nobody may wait for it for ever
            _log.exception("Loading %s failed", slot.id)
            name = slot.checkpoint.name
            sentence = f"{name} could not be loaded by a fault in the app; choose another model."
        if sentence:  # here, where the traceback of what was raised no longer holds the weights
            self._fail(slot, sentence)
        self.publish()

    def _load(self, slot: Slot) -> None:
        capacity = self.capacity()
        plan = self.backend.plan(slot.checkpoint, slot.wanted, capacity, slot.watch)
        if plan.bytes > capacity:
            raise ModelUnavailable(too_large(slot.checkpoint, plan, capacity))
        with self.changed:
            self._line_up(slot, plan)
            self.changed.wait_for(lambda: slot.phase != "waiting")
            if slot.phase != "loading":
                return
        self.publish()
        model = self.backend.load(plan, slot.watch)
        if not self._loaded(slot, model):
            self._unload(slot)

    def _line_up(self, slot: Slot, plan: Plan) -> None:
        """Join the line for memory, or whoever is about to load the same weights. Locked."""
        if slot.phase == "gone":
            return
        slot.plan = plan
        if other := self.same(slot):
            return self.merge(slot, other)
        slot.enter("waiting")
        self.line.append(slot)
        self._stirred()

    def _heard(self, slot: Slot, progress: Progress) -> None:
        now = time.monotonic()
        with self.changed:
            turned = progress.stage != slot.progress.stage
            slot.progress = progress
            if slot.cancelled or not (turned or now - slot.heard >= _PROGRESS_SECONDS):
                return
            slot.heard = now
            self.tell(LoadProgress(slot.id, progress))
        self.publish()

    def _loaded(self, slot: Slot, model: LoadedModel) -> bool:
        """The model is there; False where it was cancelled meanwhile."""
        with self.changed:
            seconds = time.monotonic() - slot.since
            slot.model = model
            model.spare = self.spare
            self.version += 1
            self._stirred()
            if slot.cancelled:
                slot.enter("unloading")
                return False
            slot.enter("ready")
            slot.used = slot.since
            self.tell(Loaded(slot.id, seconds, model.bytes, model.precision))
            self.let_go(slot)
        return True

    def _fail(self, slot: Slot, sentence: str) -> None:
        with self.changed:
            self.version += 1
            if slot.cancelled and slot.phase == "loading":
                self.drop(slot)
            elif slot.coming:
                self.give_up(slot, sentence)
        self.publish()

    # --- in the thread of an unload ---------------------------------------------------------------

    def _unload(self, slot: Slot) -> None:
        model = slot.model
        assert model is not None
        try:
            self.backend.unload(model)
        except Exception:  # noqa: BLE001 - what is free from here on is what is measured
            _log.exception("Unloading %s failed", slot.id)
            model.close()
        with self.changed:
            self.version += 1
            slot.model = None
            self.drop(slot)
            if not slot.cancelled:
                self.tell(Unloaded(slot.id, model.bytes, slot.leaving or "asked"))
        self.publish()


def too_large(checkpoint: Checkpoint, plan: Plan, capacity: int) -> str:
    """Why a plan can never be carried out here, with the numbers."""
    precision = f" in {plan.precision}" if plan.precision else ""
    return (
        f"{checkpoint.name} needs {in_words(plan.bytes)}{precision}, and models can have "
        f"{in_words(max(capacity, 0))} here: choose a smaller precision or a smaller model."
    )
