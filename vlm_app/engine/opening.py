"""Which model the app opens with: the first of those named for its place that can be loaded.

Where none of them can, the built-in model does, and the page says why. On a laptop the named model is
kept: there its failure is shown where it is chosen, and who sits there decides.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Protocol

from vlm_app import catalog
from vlm_app.catalog import catalog as all_rows
from vlm_app.catalog.rows import BUILT_IN
from vlm_app.engine.events import Event, Listener, Loaded, LoadFailed
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import Place, settings
from vlm_app.types import Checkpoint


class Loads(Protocol):
    """What of the engine is needed to open a model."""

    def warm(self, model: str, precision: str = "auto") -> None: ...
    def subscribe(self, listener: Listener) -> Callable[[], None]: ...


class Opening:
    """The model that a new chat begins with, among those that the place names."""

    def __init__(self, named: Sequence[str], rows: Mapping[str, Checkpoint] | None = None) -> None:
        """`rows` is the catalog; without it that of the settings."""
        self._named = tuple(named)
        self._rows = rows
        self._failed: dict[str, str] = {}  # why each that failed did, in a sentence
        self._loaded: set[str] = set()  # a later failure of these, in another precision say, changes nothing
        self._lock = threading.Lock()

    @property
    def model(self) -> str:
        """Its id."""
        return next((each for each in self._named if each not in self._failed), BUILT_IN)

    def instead_of(self, model: str) -> str:
        """The model itself; where it is named for this place and cannot be loaded, the one that opens."""
        return self.model if not model or model in self._failed else model

    @property
    def why(self) -> str:
        """Why another model opens than the first that was named, in a sentence; '' where it is that one."""
        if self.model == self._named[0]:
            return ""
        # What to do about it is for whoever runs the place: it stands on the page of models.
        parts = [self._failed[each].split(": ")[0] for each in self._named if each in self._failed]
        reasons = " ".join(f"{part.rstrip('.')}." for part in parts)
        opened = catalog.find(self.model, self._rows or all_rows()).name
        return f"{opened} opens here, because what was chosen for this place does not: {reasons}"

    def failed(self, model: str, why: str) -> None:
        """A model could not be loaded; of one that is not named nothing is kept."""
        if model in self._named and model != BUILT_IN:
            with self._lock:
                self._failed[model] = why

    def begin(self, engine: Loads) -> None:
        """Begin to load the first; where that fails, the next one, and at last the built-in model."""
        if settings().place is not Place.LAPTOP:
            engine.subscribe(lambda event: self._heard(event, engine))
        self._warm(engine)

    def _heard(self, event: Event, engine: Loads) -> None:
        if isinstance(event, Loaded):
            with self._lock:
                self._loaded.add(event.model)
                self._failed.pop(event.model, None)
        elif isinstance(event, LoadFailed) and event.model == self.model != BUILT_IN:
            if event.model in self._loaded:
                return
            self.failed(event.model, event.sentence)
            # The engine tells its listeners one after the other: it must not wait for itself.
            threading.Thread(target=self._warm, args=(engine,), daemon=True).start()

    def _warm(self, engine: Loads) -> None:
        """Those that the catalog does not know fail at once."""
        while True:
            model = self.model
            try:
                return engine.warm(model)
            except ModelUnavailable as error:
                if model == BUILT_IN or settings().place is Place.LAPTOP:
                    raise
                self.failed(model, error.sentence)


@cache
def _of(named: tuple[str, ...]) -> Opening:
    return Opening(named)


def opening() -> Opening:
    """The one of this process."""
    return _of(settings().offered)
