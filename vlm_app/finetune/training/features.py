"""What a frozen vision tower says of a picture, computed once and used again in every epoch.

The tower looks at the pictures of one row at a time, as far as the language model; its outputs
are kept by picture. In a batch they are joined along their first dimension, which is what the
tower itself gives for several pictures: that is tried out on the first batch, and where a family
joins pictures otherwise, its tower goes on computing as ever. So it does in any batch whose rows
have outputs of different forms, as pictures of different sizes may.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch.utils._pytree import tree_flatten, tree_unflatten

from vlm_app.engine.loaded import LoadedModel
from vlm_app.finetune.training.kept import Kept, Leaves, NoRoom
from vlm_app.finetune.training.lessons import Inputs
from vlm_app.finetune.training.towers import tower

_CLOSE = 1e-4  # of the largest number: a batch rounds otherwise than its rows do
Output = tuple[Leaves, Any]  # taken apart, with what says how to put it together
_Form = list[Any]  # of a row's pictures and outputs: only rows of one form can be joined


class Features:
    """The outputs of a model's frozen vision tower, by picture."""

    def __init__(self, loaded: LoadedModel, path: str, folder: Path) -> None:
        self._loaded = loaded
        self._tower = loaded.model.get_submodule(path)
        self._language = loaded.model.get_submodule(tower(loaded.model, loaded.family, "language"))
        self._forward = self._tower.forward
        self._kept = Kept(folder)
        self._forms: list[_Form] = []  # that differ
        self._form: dict[str, int] = {}  # of a key's outputs, by its place among those
        self._full = False
        self._recorded: list[Output] | None = None  # outputs of the tower, while it is watched
        self._given: Iterator[Output] | None = None  # outputs that take the place of the next ones
        self.tried = self.on = False
        self._tower.forward = self._look

    def knows(self, pictures: Sequence[str]) -> bool:
        """Whether a batch of these pictures can do without them. What was known once stays known."""
        forms = {self._form.get(key) for key in pictures}
        return self.on and len(forms) == 1 and None not in forms

    @contextmanager
    def of(self, pictures: Sequence[str]) -> Iterator[None]:
        """Within it the tower says what it said of these pictures. Where it does not know, it computes."""
        if not self.knows(pictures):
            yield
            return
        # A trainer may let the model read a batch several times.
        self._given = cycle(self._joined(pictures))
        try:
            yield
        finally:
            self._given = None

    def see(self, pictures: str, inputs: Inputs) -> None:
        """Look at the pictures of a row, if they are new. Nothing more is kept once the disk is full.

        What is kept stays: a trainer has batches without pictures in its hands already.
        """
        if pictures in self._form or self._full:
            return
        outputs = self._watched(inputs)
        try:
            self._kept.put(pictures, [leaves for leaves, _ in outputs])
        except NoRoom:
            self._full = True
            return
        form = [_sizes(inputs), [(spec, list(map(_row, leaves))) for leaves, spec in outputs]]
        if form not in self._forms:
            self._forms.append(form)
        self._form[pictures] = self._forms.index(form)

    def try_out(
        self, pictures: Sequence[str], rows: Sequence[Inputs], together: Callable[[Sequence[Inputs]], Any]
    ) -> None:
        """Whether rows looked at one by one give what they give as a batch; if not, nothing is kept.

        The two of them whose pictures differ most in size are looked at.
        """
        self.tried = True
        if not any(value.is_floating_point() for value in rows[0].values()):
            return
        by_size = sorted(range(len(rows)), key=lambda place: _pixels(rows[place]))
        two = (by_size[0], by_size[-1])
        pictures, rows = [pictures[place] for place in two], [rows[place] for place in two]
        for key, row in zip(pictures, rows, strict=True):
            self.see(key, row)
        self.on = True
        self.on = self.knows(pictures) and self._tells(pictures, self._watched(together(rows)))
        if not self.on:
            self._forget()

    def without_pictures(self, inputs: Inputs) -> Inputs:
        """A row as small as can be: pixels, and what is the same everywhere, are one number seen as many."""
        return {name: _small(value) for name, value in inputs.items()}

    def close(self) -> None:
        """Give the tower its own way back, and the memory."""
        self._tower.forward = self._forward
        self.on = False
        self._forget()

    def _forget(self) -> None:
        self._form.clear()
        self._kept.clear()

    def _look(self, *args: Any, **options: Any) -> Any:
        if self._given is not None:
            return tree_unflatten(*next(self._given))
        output = self._forward(*args, **options)
        if self._recorded is not None:
            self._recorded.append(tree_flatten(output))  # taken apart: some models write into it later
        return output

    def _watched(self, inputs: Inputs) -> list[Output]:
        """What the tower says while the model reads these inputs, as far as its language model."""
        model, training = self._loaded.model, self._tower.training
        parts = list(self._tower.modules())  # whose flags alone are set: transformers' own `train` is slow
        device, dtype = self._loaded.device, model.dtype
        placed = {
            name: value.to(device, dtype if value.is_floating_point() else None)
            for name, value in inputs.items()
        }
        recorded: list[Output] = []
        self._recorded = recorded
        hook = self._language.register_forward_pre_hook(_enough)
        _set_training(parts, False)
        try:
            with torch.no_grad():
                model(**placed)
        except _Enough:
            pass
        finally:
            hook.remove()
            _set_training(parts, training)
            self._recorded = None
        return recorded

    def _tells(self, pictures: Sequence[str], outputs: Sequence[Output]) -> bool:
        """Whether what is kept of these pictures is what the tower says of them as a batch."""
        mine = self._joined(pictures)
        return len(mine) == len(outputs) > 0 and all(map(_alike, mine, outputs))

    def _joined(self, pictures: Sequence[str]) -> list[Output]:
        """Each call's output for all rows, on the model's device."""
        rows = [self._kept.get(key) for key in pictures]
        _, calls = self._forms[self._form[pictures[0]]]
        return [
            ([self._column(column) for column in zip(*(row[call] for row in rows), strict=True)], spec)
            for call, (spec, _) in enumerate(calls)
        ]

    def _column(self, leaves: Sequence[Any]) -> Any:
        if not isinstance(leaves[0], torch.Tensor):
            return leaves[0]
        return torch.cat([leaf.to(self._loaded.device) for leaf in leaves])


def features(loaded: LoadedModel, folder: Path) -> Features | None:
    """Features for a model whose vision tower is frozen, LoRA being in place; else None."""
    path = tower(loaded.model, loaded.family, "vision")
    if not path or not tower(loaded.model, loaded.family, "language"):
        return None
    if isinstance(loaded.model.get_submodule(path), torch.nn.ModuleList):  # has no forward of its own
        path = path.rpartition(".")[0]
    learning = any(parameter.requires_grad for parameter in loaded.model.get_submodule(path).parameters())
    return None if learning or not path else Features(loaded, path, folder)


def _sizes(inputs: Inputs) -> dict[str, torch.Size]:
    """The height and width of the pictures: smaller ones are padded in a batch, and look otherwise."""
    return {name: value.shape[1:][-2:] for name, value in inputs.items() if value.is_floating_point()}


def _row(leaf: Any) -> Any:
    """What a leaf has in common with those that it can be joined with."""
    return (leaf.shape[1:], leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf


def _set_training(parts: Sequence[torch.nn.Module], on: bool) -> None:
    for part in parts:
        part.training = on


def _pixels(inputs: Inputs) -> int:
    return sum(value.numel() for value in inputs.values() if value.is_floating_point())


def _small(value: torch.Tensor) -> torch.Tensor:
    if value.is_floating_point():  # ones: some models take a picture of zeros for padding and leave it out
        return torch.ones((), dtype=value.dtype).expand(value.shape)
    one = value.flatten()[:1]
    return one[0].clone().expand(value.shape) if value.numel() and bool((value == one).all()) else value


def _alike(mine: Output, theirs: Output) -> bool:
    return mine[1] == theirs[1] and all(map(_close, mine[0], theirs[0]))


def _close(mine: Any, theirs: Any) -> bool:
    if not isinstance(mine, torch.Tensor) or not isinstance(theirs, torch.Tensor):
        return type(mine) is type(theirs) and bool(mine == theirs)
    if mine.shape != theirs.shape or mine.dtype != theirs.dtype:
        return False
    least = torch.finfo(mine.dtype).eps * 8 if mine.is_floating_point() else 0
    most = float(theirs.abs().max()) if theirs.numel() else 0.0
    return bool((mine - theirs).abs().max() <= max(_CLOSE, least) * max(most, 1e-6)) if mine.numel() else True


class _Enough(Exception):
    """No error: the language model was reached."""


def _enough(*_: Any) -> None:
    raise _Enough
