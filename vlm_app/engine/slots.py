"""A place for one model in one precision: how far it is, who waits for it, and what it says of itself."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vlm_app.engine.backend import Plan, Progress, Watch
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.states import ModelState, Status
from vlm_app.types import Checkpoint

if TYPE_CHECKING:
    from vlm_app.engine.leases import Lease

Phase = Literal["planning", "waiting", "loading", "ready", "unloading", "failed", "gone"]
Why = Literal["asked", "evicted", "idle"]
UNLOAD_SECONDS = 60.0  # an unload that takes longer hangs: nobody counts on its memory any more
_BEFORE: tuple[Phase, ...] = ("planning", "waiting", "loading")


@dataclass(eq=False)
class Slot:
    """One model on its way into the memory and out of it; never loaded a second time.

    Everything in it is guarded by the manager's lock.
    """

    checkpoint: Checkpoint
    wanted: str  # the precision that was asked for first; may be 'auto'
    watch: Watch = field(default_factory=Watch)
    wished: float = 0.0  # until then it is loaded though nobody waits for it
    phase: Phase = "planning"
    since: float = field(default_factory=time.monotonic)  # when this phase began
    used: float = 0.0
    asked: set[str] = field(default_factory=set)  # every precision by which it is found
    plan: Plan | None = None
    model: LoadedModel | None = None
    progress: Progress = field(default_factory=Progress)
    heard: float = 0.0  # when its progress was last told
    ahead: int | None = None  # its place in the line for memory, as it was last told
    queue: deque[Lease] = field(default_factory=deque)
    leaving: Why | None = None  # takes no new users, and is unloaded when it has none
    cancelled: bool = False
    error: str = ""  # the sentence for whoever still waits

    def enter(self, phase: Phase) -> None:
        self.phase = phase
        self.since = time.monotonic()

    @property
    def id(self) -> str:
        return self.checkpoint.id

    @property
    def precision(self) -> str:
        return self.plan.precision if self.plan else ""

    @property
    def open(self) -> bool:
        """Whether new users may join."""
        coming = self.phase in _BEFORE or self.phase == "ready"
        return coming and not self.leaving and not self.cancelled

    @property
    def coming(self) -> bool:
        return self.phase in _BEFORE and not self.cancelled

    @property
    def admitted(self) -> Phase:
        """What it enters when there is memory for it."""
        return "loading"

    @property
    def evictable(self) -> bool:
        """Whether it can be chosen to make room, at the latest after its last answer."""
        return self.phase in ("loading", "ready")

    @property
    def answering(self) -> bool:
        """Whether it takes memory for an answer, more than its own."""
        return self.phase == "ready" and bool(self.queue)

    @property
    def in_memory(self) -> bool:
        """Whether memory is set aside for it."""
        return self.phase in ("loading", "ready", "unloading")

    @property
    def stuck(self) -> bool:
        """Whether its unloading takes so long that it probably never ends."""
        return self.phase == "unloading" and time.monotonic() - self.since > UNLOAD_SECONDS

    @property
    def reserved(self) -> int:
        """Bytes that are set aside: as planned, and once it is loaded with its weights as measured."""
        if not self.plan or not self.in_memory:
            return 0
        return self.in_use + self.plan.working if self.model else self.plan.bytes

    @property
    def in_use(self) -> int:
        """Bytes of `reserved` that are taken: by its weights, and by what it keeps for follow-ups.

        What is spread over several devices was planned for the first one, of which the
        budget is; only all of it together can be measured.
        """
        if self.model is None or self.plan is None:
            return 0
        weights = min(self.plan.weights, self.model.bytes) if self.plan.places else self.model.bytes
        return weights + self.model.kept

    @property
    def room(self) -> int:
        """How many of its queue hold it at a time."""
        return self.model.room if self.model else 1

    @property
    def moving(self) -> bool:
        """Whether it is taking memory just now or giving it back, nobody knows how much of it yet."""
        filling = self.phase == "loading" and self.progress.stage != "downloading"
        return filling or (self.phase == "unloading" and not self.stuck)

    def answers_to(self, id: str, precision: str | None) -> bool:
        """Whether it is the model that is meant; without a precision any is."""
        return self.id == id and (precision is None or precision in (*self.asked, self.precision))

    def same_weights(self, other: Slot) -> bool:
        return self is not other and self.id == other.id and self.precision == other.precision

    def state(self) -> ModelState:
        status = self._status()
        return ModelState(
            status,
            self._detail(status),
            bytes=self.model.bytes if self.model else 0,
            precision=self.precision,
            device=self.plan.device if self.plan else "",
            model=self.id,
            name=self.checkpoint.name,
            progress=self.progress if status == "loading" else None,
            holders=len(self.queue),
            room=self.room,
            kept=self.model.kept if self.model else 0,
            known=self.model.known if self.model else 0.0,
            used=self.used,
            adapters=tuple(self.model.warm) if self.model else (),
        )

    def _status(self) -> Status:
        if self.phase == "gone":
            return "unloaded"
        if self.cancelled or (self.leaving == "asked" and self.phase == "ready"):
            return "unloading"
        if self.phase == "planning" or (self.phase == "waiting" and self.ahead is None):
            return "loading"  # whether it has to wait is not known yet
        return self.phase

    def _detail(self, status: Status) -> str:
        name = self.checkpoint.name
        if status == "failed":
            return self.error
        if status == "loading":
            return f"{name} {_how_far(self.progress)}."
        if status == "waiting" and self.plan:
            return f"{name} waits for {in_words(self.plan.bytes)}: {self._place()}."
        if status == "ready":
            return f"{name} is ready{self._next()}."
        if self.cancelled:
            return f"Loading {name} is being stopped."
        if status == "unloading":
            return f"{name} is being unloaded{self._last_users()}."
        return f"{name} is not loaded."

    def _place(self) -> str:
        return f"{self.ahead} before it" if self.ahead else "it is next"

    def _next(self) -> str:
        return ", and leaves after its last answer for a model that waits" if self.leaving else ""

    def _last_users(self) -> str:
        if self.phase != "ready" or not self.queue:
            return ""
        return f" when {len(self.queue)} {'answers have' if len(self.queue) > 1 else 'answer has'} ended"


def in_words(count: int) -> str:
    """Bytes for a person: 31 MB, 1.2 GB."""
    return f"{count / 1e6:.0f} MB" if count < 999_500_000 else f"{count / 1e9:.1f} GB"


def _how_far(progress: Progress) -> str:
    """'is loading: 43 %, about 20 s left'"""
    words = {"planning": "is about to load", "downloading": "is downloading", "loading": "is loading"}
    text = words[progress.stage]
    if progress.share is None or progress.stage == "planning":
        return text
    text += f": {progress.share:.0%}".replace("%", " %")
    left = progress.seconds_left
    return text if left is None else f"{text}, about {_duration(left)} left"


def _duration(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
