"""Memory of the models' budget for something that is no model of ours: a training in its own process."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

from vlm_app.engine.backend import Plan
from vlm_app.engine.residents import Residents, too_large
from vlm_app.engine.slots import Phase, Slot, in_words
from vlm_app.engine.states import ModelState
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint


@dataclass(eq=False)
class ReservedSlot(Slot):
    """A place for a training: it stands in the line for memory like a model, and then keeps what it got.

    It is never chosen to make room, for it does not end when an answer does.
    """

    taken: int = 0  # bytes that its process takes, as far as is known

    @property
    def admitted(self) -> Phase:
        return "ready"

    @property
    def evictable(self) -> bool:
        return False

    @property
    def answering(self) -> bool:
        return False

    @property
    def moving(self) -> bool:
        return False

    @property
    def in_use(self) -> int:
        return self.taken if self.in_memory else 0

    @property
    def reserved(self) -> int:
        return max(self.plan.bytes, self.taken) if self.plan and self.in_memory else 0

    def answers_to(self, id: str, precision: str | None) -> bool:
        return False

    def same_weights(self, other: Slot) -> bool:
        return False

    def state(self) -> ModelState:
        """Without a model's id, for it is none."""
        return ModelState(
            "ready" if self.in_memory else "waiting",
            self._told(),
            bytes=self.in_use,
            precision=self.precision,
            device=self.plan.device if self.plan else "",
            name=self.checkpoint.name,
        )

    def _told(self) -> str:
        wanted = in_words(self.plan.bytes if self.plan else 0)
        name = self.checkpoint.name[:1].upper() + self.checkpoint.name[1:]
        if self.in_memory:
            return f"{name} has {wanted}."
        return f"{name} waits for {wanted}: {self._place()}." if self.ahead is not None else f"{name} waits."


class Reservation:
    """Bytes set aside, or a place in the line for them, until they are released. A context manager."""

    def __init__(self, residents: Residents, slot: ReservedSlot) -> None:
        self._residents = residents
        self._slot = slot

    def __enter__(self) -> Reservation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds` for the memory; True once it is ours.

        Raises `ModelUnavailable` where it can never be had here, or the app closes.
        """
        slot, changed = self._slot, self._residents.changed
        with changed:
            changed.wait_for(lambda: slot.phase != "waiting", seconds)
            if slot.error or slot.phase == "gone":
                raise ModelUnavailable(slot.error or "The app is closing: start it again to train.")
            return slot.phase == "ready"

    @property
    def sentence(self) -> str:
        """What it waits for, or what it has."""
        with self._residents.changed:
            return self._slot.state().detail

    def uses(self, bytes: int) -> None:
        """So much the process takes now; what is not taken yet stays set aside."""
        with self._residents.changed:
            self._slot.taken = bytes

    def release(self) -> None:
        """Give the memory, or the place in the line, back; more than once does no harm."""
        residents, slot = self._residents, self._slot
        with residents.changed:
            if slot.phase != "gone":
                slot.queue.clear()
                residents.version += 1
                residents.drop(slot)
        residents.publish()


def reserved(
    name: str, bytes: int, precision: str, device: str, taken: int, work: str = "training"
) -> ReservedSlot:
    """A place for so many bytes of some work, of which `taken` are in use already."""
    title = f"{work}: {name}"
    row = Checkpoint(id=title, source="", name=title, family="", tasks=frozenset())
    plan = Plan(row, precision, bytes, 0, device)
    return ReservedSlot(row, precision, plan=plan, taken=taken, phase="ready" if taken else "waiting")


def check(slot: ReservedSlot, capacity: int) -> None:
    """Raises `ModelUnavailable` where models can never have so much here."""
    if slot.plan and slot.plan.bytes > capacity:
        raise ModelUnavailable(too_large(slot.checkpoint, slot.plan, capacity))
