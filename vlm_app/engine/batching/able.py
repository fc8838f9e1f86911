"""Which models can decode several answers together, and which can go on from a cached prefix."""

from __future__ import annotations

from inspect import signature
from typing import Any

_OWN_POSITIONS = frozenset({"kosmos-2.5"})  # works positions out from the tokens and the cache's length
_READ_AGAIN = frozenset(
    {
        "idefics",  # what it looks at beside its text is no part of the cache
        "mllama",  # the same
        "paligemma",  # every token of the prompt sees those behind it
    }
)


def decodes_together(model: Any) -> bool:
    """Whether answers of this model can share one pass for each token.

    A decoder can whose `generate` is transformers' own; an encoder-decoder cannot, nor can
    what writes an answer in its own way.
    """
    from transformers import GenerationMixin

    from vlm_app.engine.batching.caches import batchable

    kind = type(model)
    return (
        kind.generate is GenerationMixin.generate
        and not model.config.is_encoder_decoder
        and model.config.model_type not in _OWN_POSITIONS
        and "position_ids" in signature(kind.forward).parameters
        and batchable(model.config)
    )


def goes_on(model: Any) -> bool:
    """Whether a prompt may go on from the cache of its beginning."""
    from vlm_app.engine.batching.caches import croppable

    return model.config.model_type not in _READ_AGAIN and croppable(model.config) and not spread(model)


def spread(model: Any) -> bool:
    """Whether a model lies on several devices."""
    return len(set(getattr(model, "hf_device_map", {}).values())) > 1
