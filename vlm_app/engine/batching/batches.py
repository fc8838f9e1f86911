"""The answers that are decoded together, and what the model needs for their next tokens."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any

import torch

from vlm_app.engine.batching import crossing, prefill
from vlm_app.engine.batching.caches import BatchCache
from vlm_app.engine.batching.graphs import Recorder, Steps
from vlm_app.engine.batching.rows import Row


class Batch:
    """Rows with one adapter whose tokens are made in one pass."""

    def __init__(self, row: Row, begun: prefill.Begun, recorder: Recorder) -> None:
        self.rows = [row]
        self._steps = Steps(Recorder(None) if begun.beside else recorder)
        self.cache: BatchCache = begun.cache
        self.logits = begun.logits
        self.positions = begun.positions
        self.beside = begun.beside

    @property
    def key(self) -> Hashable:
        """Only rows of which this is the same can be decoded together."""
        return self.rows[0].adapter_id, crossing.shape(self.beside, self.cache)

    @property
    def adapter_id(self) -> str | None:
        return self.rows[0].adapter_id

    @property
    def bytes(self) -> int:
        """What its cache takes."""
        return self.cache.bytes

    def bytes_with(self, *tokens: int) -> int:
        """What its cache will take at most, with further rows of so many tokens."""
        longest = max([*(row.tokens for row in self.rows), *tokens])
        return (len(self.rows) + len(tokens)) * longest * self.cache.token_bytes

    def join(self, other: Batch) -> None:
        """Take the rows of another batch in."""
        self._steps.changed()
        self.rows += other.rows
        self.cache.join(other.cache)
        self.logits = torch.cat([self.logits, other.logits])
        self.positions = torch.cat(_alike(self.positions, other.positions), dim=-2)
        self.beside = crossing.joined(self.beside, other.beside)

    def keep(self, places: list[int]) -> None:
        """Let go of all other rows."""
        self._steps.changed()
        self.rows = [self.rows[place] for place in places]
        self.cache.keep(places)
        chosen = torch.tensor(places, device=self.logits.device)
        self.logits = self.logits[chosen]
        self.positions = self.positions.index_select(-2, chosen)
        self.beside = crossing.chosen(self.beside, chosen)

    def step(self, model: Any, tokens: torch.Tensor) -> None:
        """The model reads a token of each row."""
        plain = partial(prefill.step, images=self.beside)
        self.logits = self._steps.step(plain, model, self.cache, tokens, self.positions)
        self.positions = self.positions + 1


def _alike(one: torch.Tensor, other: torch.Tensor) -> list[torch.Tensor]:
    """Positions along one axis as such along several, where the others have several."""
    axes = max(one.ndim, other.ndim)
    size = max((each.shape[0] for each in (one, other) if each.ndim == 3), default=1)
    return [each if each.ndim == axes else each.expand(size, *each.shape) for each in (one, other)]
