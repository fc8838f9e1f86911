"""The thread that lets models into the memory, and sends those away that nobody needs."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from itertools import count

from vlm_app.engine.budget import victims
from vlm_app.engine.events import Loading, WaitingForMemory
from vlm_app.engine.residents import Residents, too_large
from vlm_app.engine.slots import Slot

_log = logging.getLogger(__name__)
_POLL_SECONDS = 0.5  # between two looks at what is free, while somebody waits for it
_SHORT_SECONDS = 0.02
_REST_SECONDS = 30.0  # the longest sleep: a keeper whose manager is gone ends after it


class Keeper:
    """Looks after the residents whenever something has changed.

    The line for memory is served strictly in order, so that a large model is not passed
    by small ones for ever. Who is at its head and lacks memory is given what nobody holds;
    where that is too little, held models are marked to leave. These take no new users: the
    new ones line up behind. So everybody's turn comes, and a model is never sent away from
    under an answer.
    """

    def __init__(self, residents: Residents, idle_seconds: float) -> None:
        self._residents = residents
        self._idle_seconds = idle_seconds
        self._thread: threading.Thread | None = None
        self._ended = False

    def start(self) -> None:
        """Begin where it has not begun yet."""
        with self._residents.changed:
            if self._thread is not None or self._ended:
                return
            arguments = (weakref.ref(self), self._residents.stir)
            thread = threading.Thread(target=_keep, args=arguments, name="models", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # out of threads: the next user tries again
                _log.exception("The models' keeper could not start")
            else:
                self._thread = thread

    def end(self, seconds: float) -> None:
        """Stop the thread, and wait for it up to `seconds`."""
        self._ended = True
        self._residents.stir.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(seconds)

    def look(self) -> float | None:
        """Do what there is to do; the seconds until the next look, None when that was the last."""
        if self._ended:
            return None
        try:
            return self._look()
        except Exception:  # noqa: BLE001 - not measured: whoever waits gets a sentence in time
            _log.exception("The models could not be looked after")
            return _POLL_SECONDS

    def _look(self) -> float:
        residents = self._residents
        with residents.changed:
            self._send_away()
            self._forget_unwanted()
            version, waiting = residents.version, bool(residents.line)
            if not waiting:
                self._mark([])
        residents.publish()
        if not waiting:
            return self._rest()
        free = residents.backend.free()
        with residents.changed:
            if version != residents.version:
                return 0.0
            self._rejoin()
            self._serve(free)
            self._rejoin()
            self._tell_places()
        residents.publish()
        return min(_POLL_SECONDS, self._rest())

    def _rest(self) -> float:
        """Until the next model has been idle for too long."""
        if not self._idle_seconds:
            return _REST_SECONDS
        with self._residents.changed:
            ends = [slot.used + self._idle_seconds for slot in self._residents.slots if _idle(slot)]
        return max(_SHORT_SECONDS, min([_REST_SECONDS, *(end - time.monotonic() for end in ends)]))

    # --- all of this with the lock held ----------------------------------------------------------

    def _send_away(self) -> None:
        residents, now = self._residents, time.monotonic()
        for slot in sorted(residents.slots, key=lambda slot: slot.used):
            if _idle(slot) and self._over():
                slot.leaving = slot.leaving or "evicted"
                residents.unload(slot)
            elif _idle(slot) and self._idle_seconds and now - slot.used >= self._idle_seconds:
                slot.leaving = slot.leaving or "idle"
            residents.let_go(slot)

    def _over(self) -> bool:
        """Whether a model has to leave though nobody waits; first goes what is kept for follow-ups."""
        residents = self._residents
        if residents.budget.over(residents.slots) > 0:
            residents.shed()
        return residents.budget.over(residents.slots) > 0

    def _forget_unwanted(self) -> None:
        """Whoever waited for these has left the line."""
        now = time.monotonic()
        for slot in [slot for slot in self._residents.line if not slot.queue]:
            if not slot.wished:
                self._residents.drop(slot)
            elif now > slot.wished:
                name = slot.checkpoint.name
                self._residents.give_up(slot, f"{name} found no memory: ask again, or unload a model.")

    def _rejoin(self) -> None:
        """Who waits for a fresh load of a model that stays after all uses it as it is."""
        for slot in list(self._residents.line):
            other = self._residents.same(slot)
            if other and other.in_memory:
                self._residents.merge(slot, other)

    def _serve(self, free: int) -> None:
        residents = self._residents
        for slot in list(residents.line):
            if slot.plan is None or self._there_still(slot):
                continue  # those behind it need not wait for that
            if not residents.budget.fits(slot.plan.bytes, free, residents.slots):
                return self._make_room(slot, free)
            residents.line.remove(slot)
            slot.enter(slot.admitted)
            if slot.phase == "loading":
                residents.tell(Loading(slot.id))
            residents.changed.notify_all()
        self._mark([])

    def _there_still(self, slot: Slot) -> bool:
        """Whether the same weights are in memory, on their way out.

        Whoever they were to make room for is no longer before us in the line: then they
        may as well stay, for us.
        """
        residents = self._residents
        there = [other for other in residents.slots if other.in_memory and other.same_weights(slot)]
        for other in there:
            if other.phase == "ready" and other.leaving in (None, "evicted"):
                other.leaving = None
                residents.merge(slot, other)
                break
        return bool(there)

    def _make_room(self, slot: Slot, free: int) -> None:
        residents, plan = self._residents, slot.plan
        assert plan is not None
        if residents.shed():
            return residents.stir.set()  # and look again at what is free
        leave = victims(residents.budget.short(plan.bytes, free, residents.slots), residents.slots)
        if leave is not None:
            return self._mark(leave)
        busy = any(other.moving or other.queue for other in residents.slots if other.in_memory)
        if not busy:  # all that could be had is less than that
            capacity = residents.budget.capacity(free, residents.slots)
            residents.give_up(slot, too_large(slot.checkpoint, plan, min(capacity, plan.bytes - 1)))

    def _mark(self, leave: list[Slot]) -> None:
        """These leave as soon as nobody holds them, and of those that were to leave only these."""
        for slot in self._residents.slots:
            if slot.leaving == "evicted" and slot.phase == "ready" and slot not in leave:
                slot.leaving = None
        for slot in [slot for slot in leave if slot.phase == "ready"]:
            slot.leaving = slot.leaving or "evicted"
            if _idle(slot):
                self._residents.unload(slot)

    def _tell_places(self) -> None:
        for ahead, slot in zip(count(), self._residents.line, strict=False):
            if slot.plan and slot.ahead != ahead:
                slot.ahead = ahead
                self._residents.tell(WaitingForMemory(slot.id, slot.plan.bytes, ahead))


def _idle(slot: Slot) -> bool:
    return slot.phase == "ready" and not slot.queue


def _keep(keeper: weakref.ref[Keeper], stir: threading.Event) -> None:
    """Look after the models until their manager is closed, or is gone."""
    while (here := keeper()) is not None:
        stir.clear()
        seconds = here.look()
        del here
        if seconds is None:
            return
        stir.wait(seconds)
