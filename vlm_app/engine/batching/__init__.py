"""Answers of one model decoded together, and prompts that go on where another ended.

`Decoder` is the way in: it takes rows, each an answer. A prompt is read alone (`prefill`),
from where something that was read before ends (`prefixes`); its row then joins those that
are decoded, whose keys and values lie in one buffer (`caches`).
"""

from __future__ import annotations

from vlm_app.engine.loaded import LoadedModel
from vlm_app.settings import settings


def share(loaded: LoadedModel) -> None:
    """Let a model answer several requests together, where it can."""
    from vlm_app.engine.batching import attention
    from vlm_app.engine.batching.able import decodes_together
    from vlm_app.engine.batching.decoder import Decoder

    if decodes_together(loaded.model):
        if loaded.device == "cpu":
            attention.put_in(loaded.model)
        loaded.decoder = Decoder(loaded, settings().batch, settings().prefix_cache)
