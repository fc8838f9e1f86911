"""A model in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vlm_app.engine import processed
from vlm_app.families import Family
from vlm_app.types import Checkpoint

if TYPE_CHECKING:
    from vlm_app.engine.batching.decoder import Decoder
    from vlm_app.engine.features import Features


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
        self.busy: frozenset[str] = frozenset()  # ids of those that answer: they stay attached
        self.adapter: str | None = None  # the id of the one that is switched on
        self.decoder: Decoder | None = None  # which answers several requests together; None: one by one
        self.features: Features | None = None  # what its encoder made of pictures
        self.encoding = threading.Lock()  # held while its processor works: tokenizers are not for two threads
        self.spare: Callable[[], int] = lambda: 0  # bytes that it may take beyond what was planned for it
        self._model: Any | None = model

    @property
    def room(self) -> int:
        """How many requests it can answer at a time."""
        return self.decoder.room if self.decoder else 1

    @property
    def kept(self) -> int:
        """Bytes beside its weights that it keeps for requests to come, and for those beyond the first."""
        features = self.features.bytes if self.features else 0
        return features + (self.decoder.bytes if self.decoder else 0)

    @property
    def model(self) -> Any:
        """The transformers model. A closed one has none."""
        if self._model is None:
            raise RuntimeError(f"{self.checkpoint.id} was unloaded")
        return self._model

    @property
    def known(self) -> float:
        """The share of its prompts' tokens so far that it knew from what was said before."""
        return self.decoder.known / self.decoder.read if self.decoder and self.decoder.read else 0.0

    def shed(self) -> int:
        """Let go of what is kept for requests to come; how many bytes that were."""
        freed = self.features.shed() if self.features else 0
        return freed + (self.decoder.shed() if self.decoder else 0)

    def forget(self, owner: str | None) -> None:
        """Let go of what is kept for one owner: of their pictures, and of what they said."""
        if self.features:
            self.features.forget(owner)
        if self.processor is not None:
            processed.forget(self.processor, owner)
        if self.decoder:
            self.decoder.forget(owner)

    def close(self) -> None:
        """Let go of the weights, and of what was made with them."""
        self.shed()
        if self.decoder:
            self.decoder.close()
        self._model = None
