"""What the manager needs of whatever loads models: a plan, the load itself, and the way back.

`vlm_app.engine.local` is the one that uses this computer's devices; tests have one whose
every step can be made to fail or to hang.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint

Stage = Literal["planning", "downloading", "loading"]


class LoadCancelled(ModelUnavailable):
    """A load was cancelled by whoever asked for it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a checkpoint is going to be loaded, and the bytes that are set aside for it.

    `precision` is never 'auto'. `working` is what answering takes on top of the weights:
    the cache, what an image needs on its way, and a reserve. `device` names the device of
    the answers, as torch does; where `places` is not empty it maps modules to devices, as
    accelerate does ('cpu' and 'disk' as well).
    """

    checkpoint: Checkpoint
    precision: str
    weights: int
    working: int
    device: str = "cpu"
    places: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def bytes(self) -> int:
        return self.weights + self.working


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load is: bytes of a download, or shards; `total` is 0 where nobody knows it."""

    stage: Stage = "planning"
    done: int = 0
    total: int = 0
    since: float = field(default_factory=time.monotonic)  # when this stage began

    @property
    def share(self) -> float | None:
        return min(self.done / self.total, 1.0) if self.total else None

    @property
    def seconds_left(self) -> float | None:
        """At the speed so far; None in the first second and where nobody can say."""
        spent = time.monotonic() - self.since
        if not self.share or spent < 1:
            return None
        return spent * (1 - self.share) / self.share


class Watch:
    """One load as it goes: it reports how far it is, and is told when it is no longer wanted."""

    def __init__(self, heard: Callable[[Progress], None] = lambda progress: None) -> None:
        self._heard = heard
        self._cancelled = threading.Event()
        self._stage: Progress = Progress()

    def cancel(self) -> None:
        """The load ends at its next report."""
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    def report(self, stage: Stage, done: int = 0, total: int = 0) -> None:
        """Say how far the load is. Raises `LoadCancelled` once it was cancelled."""
        if self._cancelled.is_set():
            raise LoadCancelled("Loading was cancelled: ask again, or choose another model.")
        since = self._stage.since if stage == self._stage.stage else time.monotonic()
        self._stage = Progress(stage, done, total, since)
        self._heard(self._stage)


class Backend(Protocol):
    """Loads and unloads models. Every method may be called from any thread, and may take long."""

    def plan(self, checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan:
        """How to load a checkpoint where `capacity` bytes could be had by unloading all others.

        'auto' is the best precision that fits into them. Raises `ModelUnavailable`, with the
        numbers and a remedy that was checked to fit, where nothing does.
        """

    def load(self, plan: Plan, watch: Watch) -> LoadedModel:
        """Download what is missing, and load. Raises `ModelUnavailable`."""

    def unload(self, model: LoadedModel) -> None:
        """Give the memory of a model back: when this returns it is free."""

    def free(self) -> int:
        """The bytes that are free now on the device that models are loaded on."""
