"""An answer that is decoded together with others of the same model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from vlm_app.engine.adapters import Adapter
from vlm_app.engine.batching.rows import Row
from vlm_app.engine.generation import Stream
from vlm_app.engine.loaded import LoadedModel
from vlm_app.types import Sampling

if TYPE_CHECKING:
    from vlm_app.engine.batching.decoder import Decoder


class Joined(Stream):
    """A row among those that a decoder has; see `Row` for what it is made of."""

    def __init__(
        self,
        decoder: Decoder,
        loaded: LoadedModel,
        inputs: dict[str, Any],
        sampling: Sampling,
        limit: int,
        stop: threading.Event,
        on_end: Callable[[], None],
        *,
        adapter: Adapter | None,
        owner: str | None,
        visual: Hashable,
    ) -> None:
        super().__init__(loaded, limit, stop)
        self._decoder = decoder
        self._row = Row(
            inputs=inputs,
            sampling=sampling,
            limit=limit,
            ends=self._ends,
            adapter=adapter,
            owner=owner,
            visual=visual,
            put=self.arrived,
            on_end=on_end,
            stopped=self.stopped,
        )

    @property
    def cached(self) -> int:
        """How many tokens of the prompt were not read again."""
        return self._row.cached

    def begin(self) -> None:
        self._decoder.submit(self._row)

    def wait(self, seconds: float) -> None:
        self._row.ended.wait(seconds)
