"""One answer among those that a model decodes together."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vlm_app.engine.adapters import Adapter
from vlm_app.engine.generation import Arrived
from vlm_app.types import Sampling

if TYPE_CHECKING:
    from vlm_app.engine.batching.choosing import Chooser


@dataclass(eq=False, slots=True)
class Row:
    """What an answer needs to be decoded, and where its tokens go.

    `inputs` are the model's, on its device, a batch of one. `visual` says what its images are
    and how they are seen: the same tokens with the same `visual` are the same prompt.
    `put` takes new tokens, then an exception or None, once; after that `on_end` is called.
    """

    inputs: dict[str, Any]
    sampling: Sampling
    limit: int
    ends: frozenset[int]
    adapter: Adapter | None
    owner: str | None
    visual: Hashable
    put: Callable[[Arrived], None]
    on_end: Callable[[], None]
    stopped: Callable[[], bool]
    ended: threading.Event = field(default_factory=threading.Event)
    ids: list[int] = field(default_factory=list)  # of the prompt, and what was decoded behind it
    prompt: int = 0  # how many of them are the prompt's
    cached: int = 0  # how many of those were not computed again
    chooser: Chooser | None = None
    fleeting: bool = False  # whether nothing of it may be kept when it ends

    def __post_init__(self) -> None:
        self.ids = self.inputs["input_ids"][0].tolist()
        self.prompt = len(self.ids)

    @property
    def adapter_id(self) -> str | None:
        return self.adapter.id if self.adapter else None

    @property
    def tokens(self) -> int:
        """How many it may have in the end."""
        return self.prompt + self.limit

    def add(self, token: int) -> bool:
        """A token more; whether it was the last."""
        self.ids.append(token)
        self.put([token])
        return token in self.ends or len(self.ids) >= self.tokens

    def end(self, error: BaseException | None = None) -> None:
        """Tell whoever reads that this was all, or why there is no more; once."""
        if self.ended.is_set():
            return
        self.inputs = {}
        self.chooser = None
        try:
            self.put(error)
            self.on_end()
        finally:
            self.ended.set()
