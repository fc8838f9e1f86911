"""Counting bytes: of this process, of the tensors that live, and at most while a piece of code runs."""

from __future__ import annotations

import gc
import warnings
from typing import Any

import psutil
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def own_bytes() -> int:
    """Of this process, without what it has of files: those pages come and go as memory is short."""
    info = psutil.Process().memory_info()
    return int(info.rss - info.shared)


def live_bytes() -> int:
    """Of all tensors that anything in this process refers to."""
    gc.collect()
    sizes: dict[int, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated things of libraries are looked at as well
        tensors = [thing for thing in gc.get_objects() if isinstance(thing, torch.Tensor)]
    for tensor in tensors:
        if tensor.device.type == "cpu":
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())


class LiveBytes(TorchDispatchMode):
    """The most bytes that tensors made under it held at once, by their storages.

    What operators use inside and give back before they return is not seen, but for what
    bitsandbytes is known to write there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._now = 0  # the storages of `_alive` that have gone since the last look included
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        given = {_key(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        out = function(*args, **kwargs)
        self._raise(_inside(function, args))
        for leaf in tree_leaves(out):
            if isinstance(leaf, torch.Tensor) and _key(leaf) not in given | self._alive.keys():
                self._add(leaf)
        return out

    def _add(self, tensor: torch.Tensor) -> None:
        storage = tensor.untyped_storage()
        self._alive[_key(tensor)] = (StorageWeakRef(storage), storage.nbytes())
        self._now += storage.nbytes()
        self._raise(0)

    def _raise(self, more: int) -> None:
        if self._now + more > self.peak:  # only then it matters what has gone
            self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
            self._now = sum(size for _, size in self._alive.values())
            self.peak = max(self.peak, self._now + more)


def _key(tensor: torch.Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


def _inside(function: Any, args: Any) -> int:
    """Bytes that the CPU's kernels of bitsandbytes make and drop: nf4's matrix, int8's int32 sums."""
    if function._opname == "gemm_4bit":
        return torch.Size(args[2]).numel() * args[0].element_size()
    if function._opname == "int8_scaled_mm":
        return args[0].numel() // args[0].shape[-1] * args[1].shape[0] * 4  # and then the result
    return 0
