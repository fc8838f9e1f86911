"""How the next token is chosen: a checkpoint's own rules, then the request's sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from vlm_app.engine.loaded import LoadedModel
from vlm_app.types import Sampling

if TYPE_CHECKING:
    import torch


def end_tokens(loaded: LoadedModel) -> frozenset[int]:
    """Every token that ends an answer: the checkpoint's, and the family's."""
    ends = loaded.model.generation_config.eos_token_id
    ids = {ends} if isinstance(ends, int) else set(ends or ())
    tokenizer = loaded.processor.tokenizer
    if loaded.family.end:
        ids.add(tokenizer.convert_tokens_to_ids(loaded.family.end))
    return frozenset(ids)


def rules(loaded: LoadedModel, limit: int) -> Any:
    """The checkpoint's own settings without its sampling, which is the request's, and its beams.

    A search by beams cannot be streamed.
    """
    from copy import deepcopy

    ends = end_tokens(loaded)
    config = deepcopy(loaded.model.generation_config)
    config.update(
        do_sample=False,
        temperature=None,
        top_p=None,
        top_k=None,
        num_beams=1,
        early_stopping=False,
        length_penalty=1.0,
        max_length=None,
        max_new_tokens=limit,
        eos_token_id=sorted(ends),
    )
    if config.pad_token_id is None:
        config.pad_token_id = min(ends)
    return config


def sampler(sampling: Sampling, device: str) -> Any:
    """Sampling as a change of the logits, after which the largest is taken.

    The largest of log-probabilities with Gumbel noise is a draw from the distribution
    (Gumbel-max), and the noise comes from a generator of the request's own: a seed
    repeats an answer whatever else runs, and the global random state is left alone.
    """
    from transformers import LogitsProcessorList, TemperatureLogitsWarper, TopPLogitsWarper

    processors = LogitsProcessorList()
    if sampling.temperature > 0:
        processors.append(TemperatureLogitsWarper(sampling.temperature))
        if sampling.top_p < 1:
            processors.append(TopPLogitsWarper(sampling.top_p))
        processors.append(_gumbel_noise(sampling.seed, device))
    return processors


def _gumbel_noise(seed: int | None, device: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    import torch

    random = torch.Generator(device)
    if seed is None:
        random.seed()
    else:
        random.manual_seed(seed)

    def add(input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        exponential = torch.empty_like(scores, dtype=torch.float32).exponential_(generator=random)
        noisy: torch.Tensor = scores.float() - exponential.log()
        return noisy

    return add
