"""Batches: rows of different lengths and pictures, padded into one set of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from vlm_app.finetune.training.lessons import Inputs, Lesson, Pair

if TYPE_CHECKING:
    from vlm_app.finetune.training.features import Features

ROWS = "rows"  # in a batch: which lesson each of its rows is
IGNORED = -100
_MOST_BYTES = 1 << 26  # of encoded rows that are kept; further ones are encoded anew each time
_LOOKS = ("cross_attention_mask", "image_attention_mask")  # tokens × images


def together(rows: Sequence[Inputs], padding: int) -> dict[str, torch.Tensor]:
    """One batch of these batches of one. Everything is padded on the right.

    Tokens get `padding`, labels -100; attention masks, and pictures with fewer tiles or pixels
    than others, zeros, which their own masks and sizes say not to read. Tiles that only some rows
    have stand one behind the other, and the rows say how many are theirs.
    """
    names = dict.fromkeys(name for row in rows for name in row)
    fills = {"input_ids": padding, "labels": IGNORED}
    return {name: _stacked([row[name] for row in rows if name in row], fills.get(name, 0)) for name in names}


def _stacked(tensors: Sequence[torch.Tensor], fill: float) -> torch.Tensor:
    shape = [max(sizes) for sizes in zip(*(tensor.shape[1:] for tensor in tensors), strict=True)]
    return torch.cat([_grown(tensor, shape, fill) for tensor in tensors])


def _grown(tensor: torch.Tensor, shape: Sequence[int], fill: float) -> torch.Tensor:
    """A tensor padded behind to that shape; its first dimension stays."""
    if list(tensor.shape[1:]) == list(shape):
        return tensor
    more: list[int] = []
    for size, wanted in zip(reversed(tensor.shape[1:]), reversed(shape), strict=True):
        more += [0, wanted - size]
    return pad(tensor, more, value=fill)


@dataclass
class Shelf:
    """The rows of a run, encoded; without their pictures in a batch whose features are known already."""

    lessons: Sequence[Lesson]
    padding: int  # the token that fills up
    features: Features | None = None
    _encoded: dict[int, Inputs] = field(default_factory=dict)
    _bytes: int = 0  # of those

    def batch(self, rows: Sequence[int]) -> dict[str, torch.Tensor]:
        """These rows as one batch; `rows` in it says which they are."""
        if self.features is not None and not self.features.tried:
            self._try_out(rows, self.features)
        encoded = [self.inputs(row) for row in rows]
        if self._on and not self._known(rows):  # the tower will look, and some may have no pictures
            encoded = [self.lessons[row].encode() for row in rows]
        made = self._together(encoded)
        made[ROWS] = torch.tensor(list(rows))
        return made

    def inputs(self, row: int) -> Inputs:
        """A row, encoded. Where features are kept, the encoding is, and pictures are read once."""
        features = self.features
        if features is None or not features.on:
            return self.lessons[row].encode()
        if row in self._encoded:
            return self._encoded[row]
        inputs = self.lessons[row].encode()
        features.see(self.lessons[row].pictures, inputs)
        return self._kept(row, features.without_pictures(inputs)) if self._known([row]) else inputs

    def _kept(self, row: int, small: Inputs) -> Inputs:
        """A row without its pictures, kept while there is room."""
        size = sum(tensor.untyped_storage().nbytes() for tensor in small.values())
        if self._bytes + size <= _MOST_BYTES:
            self._bytes += size
            self._encoded[row] = small
        return small

    def _try_out(self, rows: Sequence[int], features: Features) -> None:
        whole = [self.lessons[row].encode() for row in rows]
        features.try_out([self.lessons[row].pictures for row in rows], whole, self._together)
        if features.on:
            for row, inputs in zip(rows, whole, strict=True):
                features.see(self.lessons[row].pictures, inputs)
                if self._known([row]):
                    self._kept(row, features.without_pictures(inputs))

    def _known(self, rows: Sequence[int]) -> bool:
        return self.features is not None and self.features.knows([self.lessons[row].pictures for row in rows])

    @property
    def _on(self) -> bool:
        return self.features is not None and self.features.on

    def pictures(self, rows: torch.Tensor) -> list[str]:
        """The keys of the pictures of these rows."""
        return [self.lessons[row].pictures for row in rows.tolist()]

    def _together(self, rows: Sequence[Inputs]) -> dict[str, torch.Tensor]:
        return together(rows, self.padding)


Collate = Callable[[Sequence[dict[str, Any]]], dict[str, torch.Tensor]]


def answers(shelf: Shelf) -> Collate:
    """For SFT: a batch of dataset rows, of which `row` is the place on the shelf."""

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        return shelf.batch([row["row"] for row in rows])

    return collate


def paired(shelf: Shelf) -> Collate:
    """For DPO: the right answers of the rows, then the wrong ones. `shelf` holds them in turns."""

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        right = [2 * row["row"] for row in rows]
        return _completed(shelf.batch([*right, *(place + 1 for place in right)]))

    return collate


def unpaired(shelf: Shelf) -> Collate:
    """For KTO: each row's answer, whether it is a right one, and beside it another row's answer.

    From those, one that does not belong to the question, TRL tells how far the model has moved.
    """

    def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        places = [row["row"] for row in rows]
        single = [dict(shelf.inputs(place)) for place in places]
        swapped = [_with_answer(one, other) for one, other in zip(single, single[-1:] + single, strict=False)]
        most = max(row["input_ids"].shape[1] for row in [*single, *swapped])
        batch = _completed(shelf.batch(places), most)
        other = _completed(together(swapped, shelf.padding), most)
        names = ("input_ids", "attention_mask", "completion_mask", "token_type_ids", "mm_token_type_ids")
        batch |= {f"KL_{name}": other[name] for name in names if name in other}
        batch["label"] = torch.tensor([shelf.lessons[place].good for place in places])
        return batch

    return collate


def in_turns(pairs: Sequence[Pair]) -> list[Lesson]:
    """The lessons of pairs as `paired` finds them: right, wrong, right, wrong."""
    return [lesson for pair in pairs for lesson in (pair.right, pair.wrong)]


def _completed(batch: dict[str, torch.Tensor], length: int = 0) -> dict[str, torch.Tensor]:
    """With TRL's mask of the answer instead of labels, and padded to `length` tokens."""
    batch["completion_mask"] = (batch.pop("labels") != IGNORED).long()
    tokens = batch["input_ids"].shape
    missing = max(0, length - tokens[1])
    for name, value in batch.items():
        if missing and (value.shape == tokens or name in _LOOKS):
            batch[name] = _grown(value, [tokens[1] + missing, *value.shape[2:]], 0)
    return batch


def _with_answer(row: Inputs, other: Inputs) -> Inputs:
    """A row's question with another row's answer."""
    start = int((row["labels"] != IGNORED).long().argmax())
    begin = int((other["labels"] != IGNORED).long().argmax())
    answer = other["input_ids"][:, begin:]
    tokens = row["input_ids"].shape
    made: Inputs = {}
    for name, value in row.items():
        if getattr(value, "shape", None) == tokens:
            more = {"input_ids": answer, "labels": answer}.get(name, torch.zeros_like(answer))
            made[name] = torch.cat([value[:, :start], more.to(value.dtype)], dim=1)
        elif name not in _LOOKS:
            made[name] = value
    made["attention_mask"] = torch.ones_like(made["input_ids"])
    return made
