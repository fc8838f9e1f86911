"""A backend without models: any step can fail, hang, be slow, report and be cancelled.

It has so much memory, which loads take shard by shard, and writes down what must never
happen: more taken than there is, the same weights twice.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any, Literal

from vlm_app import families
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint, Task

Step = Literal["plan", "download", "load", "unload", "free"]
MB = 10**6
SHARE = {"fp32": 4.0, "bf16": 2.0, "int8": 1.0, "nf4": 0.5}  # bytes a parameter
AUTO = ("bf16", "int8", "nf4")


def row(id: str, name: str = "") -> Checkpoint:
    return Checkpoint(
        id=id,
        source=id,
        name=name or id.capitalize(),
        family="pebble",
        tasks=frozenset(Task) - {Task.SEGMENT},
    )


class Hang:
    """Holds up a step of one model (or of all) until it is released."""

    def __init__(self, deaf: bool) -> None:
        self.deaf = deaf  # does not hear that it was cancelled
        self.reached = threading.Event()  # somebody hangs in it, or did
        self._go = threading.Event()

    def release(self) -> None:
        self._go.set()

    def wait(self, watch: Watch | None) -> None:
        self.reached.set()
        while not self._go.wait(0.002):
            if watch and watch.cancelled and not self.deaf:
                watch.report("loading")


class FakeBackend:
    """`memory` bytes, and models of so many parameters; answering takes `working` bytes more."""

    def __init__(
        self, memory: int, parameters: dict[str, int], working: int = 0, shards: int = 2, pause: float = 0.0
    ) -> None:
        self.memory = memory
        self.elsewhere = 0  # bytes that another program takes
        self.parameters = parameters
        self.working = working
        self.measured = 1.0  # of the weights' estimate
        self.shards = shards
        self.pause = pause  # seconds that a step takes
        self.taken = 0
        self.done: list[tuple[str, str]] = []  # step, model
        self.wrongs: list[str] = []
        self._lock = threading.Lock()
        self._alive: Counter[tuple[str, str]] = Counter()
        self._failures: dict[tuple[Step, str], list[type[BaseException]]] = {}
        self._hangs: dict[tuple[Step, str], Hang] = {}
        self._all: list[Hang] = []

    # --- faults -----------------------------------------------------------------------------

    def fail(self, step: Step, id: str = "", kind: type[BaseException] = ModelUnavailable) -> None:
        """The next time this step of the model raises."""
        with self._lock:
            self._failures.setdefault((step, id), []).append(kind)

    def hang(self, step: Step, id: str = "", deaf: bool = False) -> Hang:
        """From now on this step of the model hangs, until the hang is released."""
        with self._lock:
            hang = self._hangs[step, id] = Hang(deaf)
            self._all.append(hang)
        return hang

    def heal(self) -> None:
        """No faults any more."""
        with self._lock:
            self._hangs, self._failures = {}, {}
        for hang in self._all:
            hang.release()

    def count(self, step: Step, id: str) -> int:
        return self.done.count((step, id))

    def _step(self, step: Step, id: str = "", watch: Watch | None = None) -> None:
        with self._lock:
            self.done.append((step, id))
            hang = self._hangs.get((step, id))
            failures = self._failures.get((step, id))
            failure = failures.pop() if failures else None
        time.sleep(self.pause)
        if hang:
            hang.wait(watch)
        if failure:
            raise failure(f"{id} is broken: choose another model.")

    # --- the protocol -----------------------------------------------------------------------

    def plan(self, checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan:
        watch.report("planning")
        self._step("plan", checkpoint.id, watch)
        wanted = AUTO if precision == "auto" else (precision,)
        plans = [self._plan(checkpoint, each) for each in wanted]
        return next((plan for plan in plans if plan.bytes <= capacity), plans[-1])

    def _plan(self, checkpoint: Checkpoint, precision: str) -> Plan:
        weights = int(self.parameters[checkpoint.id] * SHARE[precision])
        return Plan(checkpoint, precision, weights, self.working, "cpu")

    def load(self, plan: Plan, watch: Watch) -> LoadedModel:
        key = (plan.checkpoint.id, plan.precision)
        got = 0
        self._appear(key)
        try:
            watch.report("downloading", 0, 2)
            self._step("download", plan.checkpoint.id, watch)
            for shard in range(self.shards):
                got += self._take(plan, shard)
                watch.report("loading", shard + 1, self.shards)
            self._step("load", plan.checkpoint.id, watch)
            watch.report("loading", self.shards, self.shards)
        except BaseException:
            self._leave(key, got)
            raise
        return FakeModel(plan, got)

    def unload(self, model: LoadedModel) -> None:
        """A failing one has given its memory back all the same, as most do."""
        try:
            self._step("unload", model.checkpoint.id)
        finally:
            self._leave((model.checkpoint.id, model.precision), model.bytes)
            model.close()

    def free(self) -> int:
        self._step("free")
        with self._lock:
            return self.memory - self.taken - self.elsewhere

    # --- memory -----------------------------------------------------------------------------

    def _appear(self, key: tuple[str, str]) -> None:
        with self._lock:
            self._alive[key] += 1
            if self._alive[key] > 1:
                self.wrongs.append(f"{key} is in memory twice")

    def _take(self, plan: Plan, shard: int) -> int:
        weights = int(plan.weights * self.measured)
        share = weights // self.shards if shard else weights - weights // self.shards * (self.shards - 1)
        with self._lock:
            self.taken += share
            if self.taken > self.memory - self.elsewhere:
                self.wrongs.append(f"{self.taken} bytes taken of {self.memory - self.elsewhere}")
        return share

    def _leave(self, key: tuple[str, str], bytes: int) -> None:
        with self._lock:
            self._alive[key] -= 1
            self.taken -= bytes


class FakeModel(LoadedModel):
    """Weights that are a number."""

    def __init__(self, plan: Plan, bytes: int) -> None:
        model: Any = object()
        super().__init__(
            checkpoint=plan.checkpoint,
            family=families.get("pebble"),
            processor=None,
            model=model,
            device=plan.device,
            precision=plan.precision,
            bytes=bytes,
            context=0,
        )
