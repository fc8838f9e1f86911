"""The step of a batch as one CUDA graph, so that a GPU does not wait for Python between its kernels.

A small model's step is some thousand kernels, each of which takes less time than launching it:
recorded once, they are launched together. The recording holds for buffers of one shape, so a
batch is recorded when it has not changed for a few steps, and forgotten when it does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from vlm_app.engine.batching.caches import BatchCache

_log = logging.getLogger(__name__)
CALM = 4  # steps without a change before one is recorded: recording takes as long as about three
Forward = Callable[[], torch.Tensor]
Record = Callable[[Forward], Callable[[], torch.Tensor]]


def recorded(forward: Forward) -> Callable[[], torch.Tensor]:
    """A function that runs the kernels of `forward` again, on the tensors that they were recorded with."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        forward()  # libraries make their workspaces at the first call, which cannot be recorded
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        out = forward()

    def replay() -> torch.Tensor:
        graph.replay()
        return out

    return replay


class Graph:
    """One step of a model over a cache that keeps its shape: the same tensors are filled anew each time."""

    def __init__(
        self, record: Record, model: Any, cache: BatchCache, tokens: torch.Tensor, positions: torch.Tensor
    ) -> None:
        mask = cache.mask(whole=True)
        assert mask is not None
        self._cache = cache
        self._tokens, self._positions, self._mask = tokens.clone(), positions.clone(), mask
        self._place = torch.tensor([cache.tokens], device=tokens.device)
        options = {"logits_to_keep": 1} if model._supports_logits_to_keep() else {}

        def forward() -> torch.Tensor:
            logits: torch.Tensor = model(
                input_ids=self._tokens[:, None],
                attention_mask=self._mask,
                position_ids=self._positions,
                past_key_values=cache,
                use_cache=True,
                return_dict=True,
                **options,
            ).logits[:, -1]
            return logits

        cache.write_at(self._place)
        try:
            self._run = record(forward)
        except BaseException:
            self.close()
            raise

    def step(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """As `prefill.step`."""
        self._tokens.copy_(tokens)
        self._positions.copy_(positions)
        self._place.fill_(self._cache.tokens)
        self._mask.index_fill_(-1, self._place, True)
        logits = self._run().clone()
        self._cache.advance()
        return logits

    def close(self) -> None:
        """The cache may change again."""
        self._cache.write_at(None)


@dataclass(slots=True)
class Recorder:
    """What records steps, for all batches of a model; None where they cannot be recorded."""

    record: Record | None


class Steps:
    """The steps of one batch: plain ones, and recorded ones once it stays as it is."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._calm = 0
        self._graph: Graph | None = None

    def changed(self) -> None:
        """Rows are about to join or leave."""
        self._calm = 0
        if self._graph is not None:
            self._graph.close()
            self._graph = None

    def step(
        self, plain: Callable[..., torch.Tensor], model: Any, cache: BatchCache, *inputs: torch.Tensor
    ) -> torch.Tensor:
        """The logits for every row; `inputs` are tokens (rows) and positions."""
        if self._recorder.record is None or not cache.plain:
            return plain(model, cache, *inputs)
        if cache.free < 1:
            self.changed()
        elif self._graph is None and self._calm >= CALM:
            self._begin(model, cache, inputs)
        self._calm += 1
        if self._graph is None:
            return plain(model, cache, *inputs)
        return self._graph.step(*inputs)

    def _begin(self, model: Any, cache: BatchCache, inputs: tuple[torch.Tensor, ...]) -> None:
        assert self._recorder.record is not None
        try:
            self._graph = Graph(self._recorder.record, model, cache, *inputs)
        except (RuntimeError, NotImplementedError):
            _log.info("A step of %s cannot be recorded", type(model).__name__, exc_info=True)
            self._recorder.record = None
