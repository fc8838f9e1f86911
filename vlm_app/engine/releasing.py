"""Giving memory back, and counting what a model takes."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from vlm_app.engine.processed import let_go


def release() -> None:
    """Give back what nobody refers to any more: to the driver, and to the operating system."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if trim := _trim():
        trim(0)


def forget(processor: Any) -> None:
    """Let go of the pictures that a processor remembers, and empty the caches of its methods.

    transformers keeps those, and their keys hold `self`: the last ten image processors would stay,
    with their tensors.
    """
    let_go(processor)
    for part in vars(processor).values():
        for kind in type(part).__mro__:
            for method in vars(kind).values():
                if hasattr(method, "cache_clear"):
                    method.cache_clear()


def weight_bytes(model: Any) -> int:
    """Bytes of a model's parameters and buffers that are in memory, with what quantization adds."""
    seen = {tensor.data_ptr(): tensor.nbytes for tensor in _tensors(model) if tensor.device.type != "meta"}
    return sum(seen.values())


def _tensors(model: Any) -> Iterator[Any]:
    for tensor in (*model.parameters(), *model.buffers()):
        yield tensor
        if (scales := getattr(tensor, "SCB", None)) is not None:  # of int8
            yield scales
        state = getattr(tensor, "quant_state", None)  # of nf4; `state2` holds the scales' scales
        while state is not None:
            yield from (value for value in vars(state).values() if hasattr(value, "data_ptr"))
            state = getattr(state, "state2", None)


@cache
def _trim() -> Any:
    """glibc's `malloc_trim`; None elsewhere, where freed memory goes back by itself or not at all."""
    if not sys.platform.startswith("linux"):
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
