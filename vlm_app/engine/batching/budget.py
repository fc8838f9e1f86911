"""How much memory the answers that are decoded together, and what is kept of them, may take."""

from __future__ import annotations

import time
from collections.abc import Iterable

from vlm_app.engine.batching.batches import Batch
from vlm_app.engine.batching.prefixes import Prefixes
from vlm_app.engine.loaded import LoadedModel

MEASURED_SECONDS = 0.25


class Memory:
    """What caches and prefixes may take: what they have, and what nothing is set aside for.

    Measured now and then: that takes as long as a small model's token.
    """

    def __init__(self, loaded: LoadedModel, prefixes: Prefixes | None) -> None:
        self._loaded = loaded
        self._prefixes = prefixes
        self._measured = 0.0
        self._spare = self._taken = 0  # then, and what caches and prefixes had of it already

    def fits(self, batches: Iterable[Batch], tokens: int) -> bool:
        """Whether a row of so many tokens may join, when all have grown to their ends.

        What is kept for follow-ups leaves for it. It may join the batch with the longest rows,
        which it makes the longest of all.
        """
        batches = list(batches)
        self._look(batches)
        alone = sum(batch.bytes_with() for batch in batches)
        needed = max(alone - batch.bytes_with() + batch.bytes_with(tokens) for batch in batches)
        if needed + self._kept > self._taken + self._spare and self._prefixes is not None:
            self._prefixes.clear()
        return needed + self._kept <= self._taken + self._spare

    def spare(self, batches: Iterable[Batch]) -> int:
        """Bytes that may be kept beside what is kept already."""
        batches = list(batches)
        self._look(batches)
        promised = sum(batch.bytes_with() for batch in batches) + self._kept
        return max(0, min(self._spare, self._taken + self._spare - promised))

    @property
    def _kept(self) -> int:
        return self._prefixes.bytes if self._prefixes is not None else 0

    def _look(self, batches: list[Batch]) -> None:
        now = time.monotonic()
        if now - self._measured > MEASURED_SECONDS:
            self._measured, self._spare = now, self._loaded.spare()
            self._taken = sum(batch.bytes for batch in batches) + self._kept
