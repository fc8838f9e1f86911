"""Attention for the next token on a CPU, with plain matrix products.

torch's own attention is slow there for a single query in 16 bits: over 1,300 tokens two matrix
products took a tenth of its time (benchmarks/README.md). They want the whole buffer of keys and
values, without gaps; the mask hides what is not there yet.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

NAME = "one_token_products"
_OWN = ("position_bias", "s_aux", "softcap")  # what some models add to attention, and this does not do


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> Any:
    """As transformers' attention functions: query (rows, heads, tokens, width), mask True where to look."""
    plain = attention_mask is not None and attention_mask.dtype == torch.bool
    if query.shape[2] != 1 or not plain or any(options.get(name) is not None for name in _OWN):
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    assert attention_mask is not None
    rows, heads, _, width = query.shape
    keys, values = key.flatten(0, 1), value.flatten(0, 1)
    # Several heads of the query share a head of the keys: they stand one below the other.
    scores = torch.bmm(query.reshape(len(keys), -1, width), keys.transpose(1, 2)).float()
    scores = scores.view(rows, heads, 1, -1) * (width**-0.5 if scaling is None else scaling)
    weights = scores.masked_fill_(~attention_mask, -torch.inf).softmax(-1).to(query.dtype)
    out = torch.bmm(weights.view(len(keys), -1, weights.shape[-1]), values)
    return out.view(rows, 1, heads, values.shape[-1]), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


def put_in(model: Any) -> bool:
    """Let a model's decoder attend so; False where it has an attention of its own."""
    config = model.get_decoder().config
    if config._attn_implementation != "sdpa":
        return False
    config._attn_implementation = NAME
    return True
