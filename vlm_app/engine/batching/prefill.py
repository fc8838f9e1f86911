"""Reading a prompt: alone, before its answer joins those that are decoded together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from vlm_app.engine.batching.caches import BatchCache
from vlm_app.engine.batching.crossing import Beside, beside
from vlm_app.engine.batching.prefixes import Prefixes
from vlm_app.engine.batching.rows import Row
from vlm_app.engine.features import seen
from vlm_app.engine.loaded import LoadedModel


@dataclass(slots=True)
class Begun:
    """A prompt that was read: its cache, the logits (1, vocabulary) behind it, and the next token's place.

    `positions` is (1, 1), or (axes, 1, 1) where a model counts places along several axes; `beside`
    is what the model needs again of its images.
    """

    cache: BatchCache
    logits: torch.Tensor
    positions: torch.Tensor
    beside: Beside


def read(loaded: LoadedModel, row: Row, prefixes: Prefixes | None) -> Begun:
    """Read a row's prompt, or what of it was not read before."""
    model = loaded.model
    cache = BatchCache(model.config, whole=loaded.device == "cpu")
    given = {name: value for name, value in row.inputs.items() if name not in ("input_ids", "attention_mask")}
    ids, positions = row.inputs["input_ids"], _positions(model, row.inputs)
    found = prefixes.find(row) if prefixes is not None else None
    if found:
        entry, row.cached = found
        cache.begin(entry.kept, row.cached, loaded.device)
        ids, positions, given = ids[:, row.cached :], positions[..., row.cached :], {}
    inputs = model.prepare_inputs_for_generation(
        ids,
        past_key_values=cache,
        attention_mask=cache.mask() if ids.shape[1] == 1 and found else None,
        position_ids=positions,
        is_first_iteration=not found,
        use_cache=True,
        **given,
        **_last_only(model),
    )
    inputs.setdefault("position_ids", positions)
    with seen(loaded, (row.owner, row.visual)):
        out = model(**inputs, return_dict=True)
    return Begun(cache, out.logits[:, -1], inputs["position_ids"][..., -1:] + 1, beside(model, inputs, out))


def step(
    model: Any, cache: BatchCache, tokens: torch.Tensor, positions: torch.Tensor, images: Beside
) -> torch.Tensor:
    """One more token for every row: their logits (rows, vocabulary).

    `tokens` is (rows), `positions` (rows, 1) or (axes, rows, 1), `images` what is needed of those.
    """
    out = model(
        input_ids=tokens[:, None],
        attention_mask=cache.mask(),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
        return_dict=True,
        **images,
        **_last_only(model),
    )
    logits: torch.Tensor = out.logits[:, -1]
    return logits


def _positions(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The place of each token, as `generate` gives them to the model: (1, tokens) or (axes, 1, tokens).

    Given with every call, so that what a model remembers of its last prompt (`rope_deltas`
    of the Qwen models) is never used for somebody else's.
    """
    positions: torch.Tensor = model._prepare_position_ids_for_generation(inputs["input_ids"], inputs)
    return positions


def _last_only(model: Any) -> dict[str, int]:
    return {"logits_to_keep": 1} if model._supports_logits_to_keep() else {}
