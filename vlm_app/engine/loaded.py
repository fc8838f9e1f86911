"""A model in memory."""

from __future__ import annotations

from typing import Any

from vlm_app.families import Family
from vlm_app.types import Checkpoint


class LoadedModel:
    """A model that is ready to answer, until it is closed.

    Everybody reaches the weights through this one object, so that closing it lets go of
    them, whoever still holds it.
    """

    def __init__(
        self,
        *,
        checkpoint: Checkpoint,
        family: Family,
        processor: Any,
        model: Any,
        device: str,
        precision: str,
        bytes: int,
        context: int,
    ) -> None:
        self.checkpoint = checkpoint
        self.family = family
        self.processor = processor
        self.device = device
        self.precision = precision
        self.bytes = bytes  # of its parameters and buffers
        self.context = context  # tokens of prompt and answer together; 0: unknown
        self.warm: list[str] = []  # ids of the adapters that are attached, least recently used first
        self.adapter: str | None = None  # the id of the one that is switched on
        self._model: Any | None = model

    @property
    def model(self) -> Any:
        """The transformers model. A closed one has none."""
        if self._model is None:
            raise RuntimeError(f"{self.checkpoint.id} was unloaded")
        return self._model

    def close(self) -> None:
        """Let go of the weights."""
        self._model = None
