"""What models that look at images beside their text need again for every token."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import torch

from vlm_app.engine.batching.caches import BatchCache

Beside = Mapping[str, torch.Tensor]  # inputs of the model, the rows first


def beside(model: Any, inputs: Mapping[str, Any], out: Any) -> Beside:
    """Which images the next token looks at, and what is to be looked at where the cache does not hold it.

    `inputs` and `out` are those of the prompt. New tokens look where the prompt's last one did.
    """
    kind = model.config.model_type
    if kind == "mllama" and (mask := inputs.get("cross_attention_mask")) is not None:
        return {"cross_attention_mask": mask[:, -1:]}
    if kind == "idefics":
        name = "perceiver_embeddings" if model.config.use_resampler else "image_encoder_embeddings"
        return {name: out.image_hidden_states, "image_attention_mask": inputs["image_attention_mask"][:, -1:]}
    return {}


def shape(beside: Beside, cache: BatchCache) -> Hashable:
    """Only rows of which this is the same can be decoded together."""
    return cache.seen, tuple((name, tuple(each.shape[1:])) for name, each in sorted(beside.items()))


def joined(one: Beside, other: Beside) -> Beside:
    """Of the rows of both."""
    return {name: torch.cat([each, other[name]]) for name, each in one.items()}


def chosen(beside: Beside, rows: torch.Tensor) -> Beside:
    """Of these rows."""
    return {name: each.index_select(0, rows) for name, each in beside.items()}
