"""Training: LoRA on a base by TRL's trainers and PEFT, fed by each family's own encoder.

`train` is what the child process of a run calls. Importing this imports no torch; the modules of
this package do, and are imported when it begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from vlm_app.finetune.events import Event
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig

if TYPE_CHECKING:
    from vlm_app.engine.loaded import LoadedModel

Kind = Literal["train", "held_out"]
Tell = Callable[[Event], None]
Stopped = Callable[[], bool]


class Folder(Protocol):
    """What training needs of a run's folder."""

    @property
    def config(self) -> RunConfig: ...
    @property
    def path(self) -> Path: ...
    @property
    def checkpoints(self) -> Path: ...
    @property
    def adapter(self) -> Path: ...
    def examples(self, kind: Kind) -> Sequence[Example]: ...


def train(folder: Folder, tell: Tell, stopped: Stopped) -> LoadedModel | None:
    """Train what the folder's config says, and put the adapter into `folder.adapter` when it is done.

    Returns the bare base, which is in memory all the same and answers as if nothing had been
    trained; None when it was stopped. Where the adapter is there already the base is all there is to do.
    Goes on from the last whole checkpoint in `folder.checkpoints`, if there is one. `tell` hears of
    every step, evaluation, sample and checkpoint, in the main process only. `stopped` is asked after
    every step: when it says so, a checkpoint is written and training ends without an adapter.
    Call it in a process of its own: TRL leaves its patches on the model.
    Raises `BadInput` or `ModelUnavailable` with a sentence: no example can be learned, the base
    cannot be trained so, or the disk is full.
    """
    from vlm_app.finetune.training.course import run

    return run(folder, tell, stopped)


__all__ = ["Folder", "Kind", "Stopped", "Tell", "train"]
