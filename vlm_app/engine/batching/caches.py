"""The keys and values of several answers that are decoded together.

Rows stand right-aligned: all of them write their next token at the same place, and a shorter
one has nothing in front, which is masked. Keys carry their rotary phase, so a row may be moved
in the buffer without being computed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    LinearAttentionLayer,
)

SPARE = 128  # tokens for which there is room behind the last one when a buffer is made, at least
Kept = tuple[tuple[torch.Tensor, torch.Tensor] | None, ...]  # of one row, layer by layer; None: has none


class GrowingLayer(DynamicLayer):
    """Keys and values of one layer, each (rows, heads, tokens, width), written in place.

    transformers' own layer copies everything at each token. This one keeps whole what a
    sliding window no longer sees (the mask hides it), so that an answer can be cut back to
    any earlier token. A single token gets the `whole` buffer to look at, with what is empty
    yet, where that is faster; its mask has to hide that.
    """

    def __init__(self, whole: bool) -> None:
        super().__init__()
        self._whole = whole
        self.place: torch.Tensor | None = None  # where the next token is written, when not behind the last
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None
        self._end = 0

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        count = key_states.shape[-2]
        if self.place is None:
            self._reserve(key_states, value_states)
        assert self._buffers is not None
        if self.place is not None:
            for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
                buffer.index_copy_(2, self.place, new)
            return self._buffers
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, self._end : self._end + count] = new
        self._end += count
        view = self._view()
        return self._buffers if self._whole and count == 1 else view

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        if not self._whole or query_length != 1 or self._buffers is None:
            length, offset = super().get_mask_sizes(query_length)
            return length, offset
        self._reserve(self.keys[:, :, :1], self.values[:, :, :1])
        return self._buffers[0].shape[-2], 0

    def set(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Begin with these; they are copied."""
        self._move(keys[:, :, :0], values[:, :, :0], keys.shape[-2])
        self.update(keys, values)

    @property
    def free(self) -> int:
        """For how many tokens more there is room."""
        return self._buffers[0].shape[-2] - self._end if self._buffers else 0

    def advance(self) -> None:
        """A token was written at `place`."""
        self._end += 1
        self._view()

    def join(self, other: GrowingLayer) -> None:
        """The rows of another layer become rows of this one, behind its own."""
        mine, theirs = (self.keys, self.values), (other.keys, other.values)
        length = max(mine[0].shape[-2], theirs[0].shape[-2])
        self._replace(tuple(_stacked(pair, length) for pair in zip(mine, theirs, strict=True)), length)

    def keep(self, rows: Sequence[int], ahead: int) -> None:
        """Only these rows stay, without the first `ahead` tokens, which none of them has."""
        length = self.keys.shape[-2] - ahead
        made = (
            _stacked([each[row : row + 1, :, ahead:] for row in rows], length)
            for each in (self.keys, self.values)
        )
        self._replace(tuple(made), length)

    @property
    def bytes(self) -> int:
        return sum(each.nbytes for each in self._buffers or ())

    @property
    def token_bytes(self) -> int:
        """Bytes for one token of one row."""
        return sum(each.shape[1] * each.shape[3] * each.itemsize for each in self._buffers or ())

    def _reserve(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Room for these."""
        if self._buffers is None or self._end + keys.shape[-2] > self._buffers[0].shape[-2]:
            self._move(keys, values)

    def _move(self, keys: torch.Tensor, values: torch.Tensor, more: int = 0) -> None:
        """To a larger buffer, with room for these and a while."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
            here = (keys[:, :, :0], values[:, :, :0])
        else:
            here = (self.keys, self.values)
        length = here[0].shape[-2]
        more = more or keys.shape[-2]
        self._replace(tuple(_stacked([each], length, more) for each in here), length)

    def _replace(self, buffers: tuple[torch.Tensor, ...], length: int) -> None:
        keys, values = buffers
        self._buffers = (keys, values)
        self._end = length
        self._view()

    def _view(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._buffers is not None
        self.keys, self.values = (each[:, :, : self._end] for each in self._buffers)
        return self.keys, self.values


def _stacked(parts: Sequence[torch.Tensor], length: int, more: int = 0) -> torch.Tensor:
    """A buffer with the rows of all parts, right-aligned at `length` tokens, and room behind.

    What is empty is zero: nothing looks at it, but what is no number would spoil a sum all the same.
    """
    rows = sum(len(part) for part in parts)
    room = length + more + max(SPARE, length // 8)
    made = parts[0].new_zeros(rows, parts[0].shape[1], room, parts[0].shape[3])
    row = 0
    for part in parts:
        made[row : row + len(part), :, length - part.shape[2] : length] = part
        row += len(part)
    return made


class BatchCache(Cache):
    """The cache of the answers that a model decodes together.

    `padding` has, for each row, how many tokens of nothing stand in front of it. Layers that
    look at images beside the text hold those, of every row as many.
    """

    def __init__(self, config: Any, whole: bool = False) -> None:
        self._whole = whole
        text = config.get_text_config(decoder=True)
        self._crossing = frozenset(getattr(text, "cross_attention_layers", None) or ())
        own = DynamicCache(config=text).layers
        self._alike = all(type(layer) is DynamicLayer for layer in own)
        if own:
            super().__init__(layers=[_ours(layer, whole) for layer in own])
        else:
            super().__init__(layer_class_to_replicate=partial(GrowingLayer, whole))
        self.padding: list[int] = [0]

    @property
    def _all(self) -> list[Any]:
        layers: list[Any] = self.layers
        return layers

    @property
    def _growing(self) -> list[GrowingLayer]:
        """Those with keys and values of the text; in some models layers share another's."""
        return [
            layer for place, layer in enumerate(self._all) if place not in self._crossing and _filled(layer)
        ]

    @property
    def _looking(self) -> list[GrowingLayer]:
        """Those with keys and values of images."""
        return [layer for place, layer in enumerate(self._all) if place in self._crossing and _filled(layer)]

    @property
    def seen(self) -> int:
        """How many keys of images each row has."""
        return next((layer.get_seq_length() for layer in self._looking), 0)

    @property
    def tokens(self) -> int:
        """How many every row has, those of nothing among them."""
        count: int = self._growing[0].keys.shape[-2]
        return count

    @property
    def bytes(self) -> int:
        """What its buffers take."""
        return sum(layer.bytes for layer in self._growing + self._looking)

    @property
    def token_bytes(self) -> int:
        """Bytes for one token of one row, in all layers."""
        return sum(layer.token_bytes for layer in self._growing)

    def join(self, other: BatchCache) -> None:
        """Take the rows of another cache in; it is not to be used any more."""
        mine, theirs = self.tokens, other.tokens
        length = max(mine, theirs)
        for layer, new in zip(self._growing + self._looking, other._growing + other._looking, strict=True):
            layer.join(new)
        for layer, new in zip(self._all, other._all, strict=True):
            if isinstance(layer, LinearAttentionLayer):
                _join_states(layer, new)
        self.padding = [each + length - mine for each in self.padding]
        self.padding += [each + length - theirs for each in other.padding]

    def keep(self, rows: Sequence[int]) -> None:
        """Let go of every other row. At least one stays."""
        left = [self.padding[row] for row in rows]
        ahead = min(left)
        for layer in self._growing:
            layer.keep(rows, ahead)
        for layer in self._looking:
            layer.keep(rows, 0)
        for layer in self._all:
            if isinstance(layer, LinearAttentionLayer):
                layer.reorder_cache(torch.tensor(rows))
        self.padding = [each - ahead for each in left]

    def mask(self, whole: bool = False) -> torch.Tensor | None:
        """Which places each row sees while its next token is decoded; None: all of them.

        (rows, 1, 1, places), or (rows, places) where a model must see which layers hide more.
        With `whole` it is over all places that there is room for, and never None.
        """
        if not (whole or self._whole or any(self.padding)):
            return None
        layer = self._growing[0]
        places = torch.arange(self.tokens + self.free if whole else layer.get_mask_sizes(1)[0])
        there = places <= layer.get_seq_length()
        seen = (there & (places >= torch.tensor(self.padding)[:, None])).to(layer.keys.device)
        return seen[:, None, None] if self._alike else seen

    # --- the same step again and again ---------------------------------------------------------

    @property
    def plain(self) -> bool:
        """Whether every layer has keys and values of all tokens, under one mask."""
        return self._alike and len(self._growing) == len(self._all)

    @property
    def free(self) -> int:
        """For how many tokens more there is room in the buffers."""
        return self._growing[0].free

    def write_at(self, place: torch.Tensor | None) -> None:
        """Write the next tokens where this tensor (1) says, and look at whole buffers; None: as before."""
        for layer in self._growing:
            layer.place = place

    def advance(self) -> None:
        """A token was written so."""
        for layer in self._growing:
            layer.advance()

    # --- one row, to go on from later ---------------------------------------------------------

    def kept(self, row: int) -> Kept:
        """A copy of what one row has in every layer; none of a layer that shares another's."""
        ahead = self.padding[row]
        return tuple(
            (layer.keys[row : row + 1, :, ahead:].clone(), layer.values[row : row + 1, :, ahead:].clone())
            if isinstance(layer, GrowingLayer) and layer.is_initialized
            else None
            for layer in self._all
        )

    def begin(self, kept: Kept, tokens: int, device: str) -> None:
        """Go on from the first `tokens` tokens of a row that was kept."""
        if not self._all:
            self._all.extend(GrowingLayer(self._whole) for _ in kept)
        for layer, pair in zip(self._all, kept, strict=True):
            if isinstance(layer, GrowingLayer) and pair is not None:
                keys, values = (each[:, :, :tokens].to(device) for each in pair)
                layer.set(keys, values)


def bytes_of(kept: Kept) -> int:
    """Bytes of a row that was kept."""
    return sum(tensor.nbytes for pair in kept if pair is not None for tensor in pair)


def batchable(config: Any) -> bool:
    """Whether every layer of a model's cache is one that rows can join and leave."""
    kinds = (DynamicLayer, DynamicSlidingWindowLayer, LinearAttentionLayer)
    layers = DynamicCache(config=config.get_text_config(decoder=True)).layers
    return all(type(layer) in kinds or type(layer).__name__ == "DummyLayer" for layer in layers)


def croppable(config: Any) -> bool:
    """Whether a model's cache can be cut back to an earlier token: a running state cannot."""
    layers = DynamicCache(config=config.get_text_config(decoder=True)).layers
    return not any(isinstance(layer, LinearAttentionLayer) for layer in layers)


def _filled(layer: Any) -> bool:
    return isinstance(layer, GrowingLayer) and layer.is_initialized


def _ours(layer: Any, whole: bool) -> Any:
    return GrowingLayer(whole) if isinstance(layer, DynamicLayer) else layer


def _join_states(layer: LinearAttentionLayer, new: LinearAttentionLayer) -> None:
    for states in ("conv_states", "recurrent_states"):
        mine, theirs = getattr(layer, states), getattr(new, states)
        for index, state in mine.items():
            if state is not None:
                mine[index] = torch.cat([state, theirs[index]])
