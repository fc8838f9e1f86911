"""The right to use a model, and the wait for it."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.slots import Slot

if TYPE_CHECKING:
    from vlm_app.engine.manager import Manager


class Held(Protocol):
    """What an answer needs of whoever lends it a model."""

    @property
    def model(self) -> LoadedModel: ...
    def ready(self, seconds: float) -> bool: ...
    def release(self) -> None: ...


class Lease:
    """A place in the queue for a model, and at its head the right to use it.

    A context manager: leaving it gives the place back. A model that somebody waits for or
    holds is not unloaded.
    """

    def __init__(self, manager: Manager, slot: Slot) -> None:
        self._manager = manager
        self._slot = slot
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
        if self._slot.model is None:
            raise RuntimeError(f"{self._slot.id} is not loaded")
        return self._slot.model

    def ready(self, seconds: float) -> bool:
        """Wait up to `seconds`; True when the model is loaded and it is our turn.

        Raises `ModelUnavailable` when loading failed or was cancelled, or the whole wait
        was too long.
        """
        return self._manager._ready(self, seconds)

    def release(self) -> None:
        """Give the place back; more than once does no harm."""
        self._manager._release(self)
