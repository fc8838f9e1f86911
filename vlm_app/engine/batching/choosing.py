"""The next token of each row, from the logits of all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from vlm_app.engine.batching.rows import Row
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.sampling import rules, sampler
from vlm_app.types import Sampling


class Chooser:
    """How one row's tokens are chosen, by `generate`'s own processors.

    Without any it is the largest logit, which is taken of all such rows at once.
    """

    def __init__(self, loaded: LoadedModel, ids: list[int], limit: int, sampling: Sampling) -> None:
        self._device = loaded.device
        self._own = _own_rules(loaded, ids, limit)
        self._ids = torch.empty(
            1, (len(ids) + limit) if self._own else 1, dtype=torch.long, device=loaded.device
        )
        self._count = 0  # of them that are filled in
        self._sampling = sampler(sampling, loaded.device)

    @property
    def greedy(self) -> bool:
        return not self._own and not self._sampling

    def change(self, ids: list[int], logits: torch.Tensor) -> torch.Tensor:
        """Logits (1, vocabulary) in fp32 behind these tokens, changed so that the largest is the choice."""
        changed: torch.Tensor = self._sampling(self._ids[:, :1], self._own(self._before(ids), logits))
        return changed

    def _before(self, ids: list[int]) -> torch.Tensor:
        """The tokens so far (1, tokens) where rules ask for them; only new ones go to the device."""
        if self._own and len(ids) > self._count:
            new = torch.tensor(ids[self._count :], device=self._device)
            self._ids[0, self._count : len(ids)] = new
            self._count = len(ids)
        return self._ids[:, : self._count]


def choose(rows: Sequence[Row], logits: torch.Tensor) -> torch.Tensor:
    """The next token of each row (rows), from the logits of their last ones (rows, vocabulary)."""
    changed = {
        place: row.chooser.change(row.ids, logits[place : place + 1].float())
        for place, row in enumerate(rows)
        if row.chooser and not row.chooser.greedy
    }
    chosen = logits.argmax(-1) if len(changed) < len(rows) else logits.new_empty(len(rows), dtype=torch.long)
    for place, scores in changed.items():
        chosen[place] = scores.argmax()
    return chosen


def _own_rules(loaded: LoadedModel, ids: list[int], limit: int) -> Any:
    """What the checkpoint's settings ask for: a repetition penalty, tokens that are never written."""
    from transformers import LogitsProcessorList

    model, config = loaded.model, rules(loaded, limit)
    prompt = torch.tensor([ids], device=loaded.device)
    model._prepare_special_tokens(config, True, device=loaded.device)
    return model._get_logits_processor(
        generation_config=config,
        input_ids_seq_length=len(ids),
        encoder_input_ids=prompt,
        logits_processor=LogitsProcessorList(),
        device=loaded.device,
        model_kwargs={},
    )
