"""The engine's manager without models: what is loaded, and what fits, is written down here."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from vlm_app.catalog import catalog, find, memory
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.backend import Progress
from vlm_app.engine.devices import Device
from vlm_app.engine.events import Listener
from vlm_app.engine.memory import Estimate, Fit
from vlm_app.engine.offers import Offer
from vlm_app.engine.states import ModelState
from vlm_app.types import Runs

TOTAL, OTHERS = 16_000_000_000, 3_000_000_000  # bytes
HOSTILE_GPU = "<img src=x onerror=window.hacked=4> RTX 2060"
DRIVER = "The driver 470.82 is too old for CUDA 13: install driver 580 or newer."
PEBBLE = ModelState("ready", "Pebble is ready.", 31_000_000, "fp32", "cpu", "pebble", "Pebble")
BUSY = (
    replace(PEBBLE, adapters=("signs", "charts"), used=-150.0),
    ModelState(
        "loading", "SmolVLM2 500M is loading.", 0, "bf16", "cpu", "smolvlm2-500m", "SmolVLM2 500M",
        Progress("downloading", 430, 1000), holders=1,
    ),
    ModelState(
        "waiting", "Qwen2.5-VL 7B waits for 16.6 GB: 2 requests are before it.", 0, "bf16", "cpu",
        "qwen2.5-vl-7b", "Qwen2.5-VL 7B", holders=1,
    ),
    ModelState(
        "ready", "Florence-2 base is ready.", 464_000_000, "fp32", "cpu", "florence-2-base",
        "Florence-2 base", holders=3,
    ),
)  # fmt: skip
OFFERS = (("florence-2-base", True, False, 9.0), ("smolvlm2-500m", False, True, 12.0))


class FakeManager:
    """Does at once what it is asked; `busy` begins with a load at 43 %, one that waits, and adapters."""

    def __init__(self, busy: bool = False) -> None:
        self.busy = busy
        self.begin()
        self.leases: dict[str, int] = {}
        self.warmed: list[str] = []
        self.status = "ready"

    def begin(self, *signal: object) -> None:
        """All is as at the start."""
        now = time.monotonic()
        self.held = {each.model: _since(each, now) for each in (BUSY if self.busy else (PEBBLE,))}

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Nothing is told."""
        return lambda: None

    # --- what is loaded ---------------------------------------------------------------------

    def models(self) -> tuple[ModelState, ...]:
        return tuple(self.held.values())

    def state(self, model: str) -> ModelState:
        row = find(model)
        if self.status != "ready":
            return ModelState(self.status, "A model without weights.", model=model, name=row.name)
        nothing = ModelState("unloaded", f"{row.name} is not loaded.", model=model, name=row.name)
        return self.held.get(model, nothing)

    def warm(self, model: str, precision: str = "auto") -> None:
        self.warmed.append(model)
        if self.state(model).status == "ready":
            return
        chosen = "bf16" if precision == "auto" else precision
        need, name = memory(find(model), chosen), find(model).name
        self.held[model] = ModelState("ready", f"{name} is ready.", need, chosen, "cpu", model, name)

    def unload(self, model: str, precision: str | None = None) -> None:
        self.held.pop(model, None)

    def forget(self, owner: str) -> None:
        """These models keep nothing."""

    def close(self) -> None:
        self.held.clear()

    def cancel(self, model: str) -> None:
        if self.state(model).status in ("loading", "waiting"):
            self.held.pop(model)

    # --- the machine ------------------------------------------------------------------------

    def capacity(self) -> int:
        return 12_000_000_000

    def devices(self) -> tuple[Device, ...]:
        free = TOTAL - OTHERS - sum(each.bytes for each in self.held.values())
        return (Device("cpu", "CPU, 8 cores", TOTAL, free), Device("cuda:0", HOSTILE_GPU, 0, 0, DRIVER))

    def fit(self, model: str, precision: str = "auto") -> Fit | None:
        row = find(model)
        if not row.parameters or row.runs is not Runs.IN_PROCESS:
            return None
        free = self.capacity()
        fits = [Fit(each, _estimate(memory(row, each)), free) for each in ("bf16", "int8", "nf4")]
        if precision != "auto":
            return Fit(precision, _estimate(memory(row, precision)), free)
        return next((each for each in fits if each.fits), fits[-1])

    def offers(self) -> tuple[Offer, ...]:
        rows = [(catalog()[id], draws, chats, speed) for id, draws, chats, speed in OFFERS]
        return tuple(
            Offer(row, "bf16", memory(row, "bf16"), speed, draws, chats) for row, draws, chats, speed in rows
        )

    def adapters(self, model: str, owner: str | None = "") -> tuple[Adapter, ...]:
        names = {"signs": "Street signs", "charts": "Charts <b>"} if model == "pebble" else {}
        return tuple(_adapter(id, name) for id, name in names.items())


def _estimate(weights: int) -> Estimate:
    return Estimate(weights, 120_000_000, 80_000_000, 250_000_000, exact=True)


def _since(state: ModelState, now: float) -> ModelState:
    """The state with times of this process: a load that began 15 s ago, a use 150 s ago."""
    progress = state.progress and replace(state.progress, since=now - 15)
    return replace(state, progress=progress, used=now + state.used if state.used else 0.0)


def _adapter(id: str, name: str) -> Adapter:
    from pathlib import Path

    return Adapter(id, name, "pebble", "", Path("nowhere"))
