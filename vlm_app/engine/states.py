"""How a model is, for whoever shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vlm_app.engine.backend import Progress

Status = Literal["unloaded", "waiting", "loading", "ready", "unloading", "failed"]


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model as it is now. `detail` is a sentence for a person.

    `waiting` means that memory has to become free first. `holders` requests use the model
    (up to `room` are answered together, the others are behind them); `used` is when one last did, in
    `time.monotonic()` seconds.
    """

    status: Status
    detail: str
    bytes: int = 0  # measured, of its weights
    precision: str = ""
    device: str = ""
    model: str = ""  # its id
    name: str = ""
    progress: Progress | None = None
    holders: int = 0
    room: int = 1
    kept: int = 0  # bytes of what was said before, so that follow-ups need not read it again
    known: float = 0.0  # share of all tokens of its prompts that did not have to be read again
    used: float = 0.0
    adapters: tuple[str, ...] = ()  # that are warm on it
