"""The course of a run: the base, its rows, the trainer, and the adapter that comes of it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from vlm_app import catalog
from vlm_app.engine import adapters
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.finetune.events import Said
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.training import Folder, Stopped, Tell, checkpoints
from vlm_app.finetune.training.collating import Shelf, in_turns
from vlm_app.finetune.training.features import features
from vlm_app.finetune.training.lessons import Lesson, lessons, order, pairs, rehearsal, unpaired
from vlm_app.finetune.training.towers import lora
from vlm_app.finetune.training.trainers import fused, trainer
from vlm_app.finetune.training.watching import Watcher
from vlm_app.finetune.writing import Left

_TOLD = 5  # examples that cannot be learned are named one by one, at most


def run(folder: Folder, tell: Tell, stopped: Stopped) -> LoadedModel | None:
    """As `vlm_app.finetune.training.train` says."""
    from accelerate import PartialState

    if folder.adapter.is_dir():  # it was cut off after the last step
        return base(folder.config)
    state = PartialState(cpu=not _cuda())  # of several processes, each takes its own device
    told: Tell = tell if state.is_main_process else _to_nobody
    loaded = base(folder.config)
    model = adapted(loaded, folder.config)
    rows = _Rows.of(loaded, folder, told)
    watcher = Watcher(
        loaded,
        folder.config,
        folder.checkpoints,
        folder.examples("held_out"),
        rows.rounds,
        lambda path: save(model, path),
        told,
        stopped,
    )
    kept = features(loaded, folder.path / "features" / str(state.process_index))
    shelf = Shelf(rows.lessons, _padding(loaded), kept)
    steps = math.ceil(len(rows.training) / (_batch(folder.config) * state.num_processes))
    try:
        teacher = trainer(folder, loaded, model, steps, shelf, (rows.training, rows.held_out), [watcher])
        _teach(teacher, folder, watcher)
        if state.is_main_process and not watcher.was_stopped:
            _finish(model, folder, watcher)
    except (OSError, RuntimeError, SafetensorError) as error:
        if not checkpoints.out_of_room(error):
            raise
        checkpoints.last(folder.checkpoints)  # removes the one that was cut off
        raise ModelUnavailable(
            "The disk is full, so that no further checkpoint can be written: make room and resume the run, "
            "which goes on from its last checkpoint."
        ) from error
    finally:
        if kept:
            kept.close()
            shutil.rmtree(folder.path / "features", ignore_errors=True)
    state.wait_for_everyone()
    return None if watcher.was_stopped else _bare(loaded, model)


def base(config: RunConfig) -> LoadedModel:
    """The base of a run in memory. Raises `NotFound` or `ModelUnavailable`."""
    return load_checkpoint(catalog.find(config.base), config.precision)


def adapted(loaded: LoadedModel, config: RunConfig) -> Any:
    """PEFT's model around the base: with new layers, or those of the adapter that the run goes on from.

    Raises `NotFound`, `BadInput` or `ModelUnavailable` where that is missing or made for another base.
    """
    import torch
    from peft import PeftModel, get_peft_model

    torch.manual_seed(config.seed)  # the layers begin with random numbers
    if config.adapter is None:
        model = get_peft_model(loaded.model, lora(loaded, config))
    else:
        adapter = adapters.find(config.adapter)
        adapters.check(adapter, loaded.checkpoint)
        model = PeftModel.from_pretrained(loaded.model, adapter.folder, is_trainable=True)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise ModelUnavailable("Nothing of this model would learn: choose another stage or tower.")
    return model


def _bare(loaded: LoadedModel, model: Any) -> LoadedModel:
    """The base as it was loaded: without PEFT's layers, and without the forward that TRL leaves on it."""
    from peft.utils import ModulesToSaveWrapper

    for name, module in [*loaded.model.named_modules()]:
        if isinstance(module, ModulesToSaveWrapper):  # in which `unload` would leave what was taught
            path, _, child = name.rpartition(".")
            setattr(loaded.model.get_submodule(path), child, module.original_module)
    model.unload()
    vars(loaded.model).pop("forward", None)
    loaded.model.eval()
    return loaded


def save(model: Any, folder: Path) -> None:
    """The adapter as it is, in PEFT's format, whole or not at all."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part, selected_adapters=["default"], save_embedding_layers=False)
    shutil.rmtree(folder, ignore_errors=True)
    part.replace(folder)


@dataclass(frozen=True, slots=True)
class _Rows:
    """What is taught: the lessons, and which of them come when. A pair counts as one row."""

    lessons: list[Lesson]
    training: list[int]
    held_out: list[int]
    rounds: float  # over the examples

    @classmethod
    def of(cls, loaded: LoadedModel, folder: Folder, tell: Tell) -> _Rows:
        config = folder.config
        taught, left = _taught(loaded, folder.examples("train"), config)
        if left and not taught:
            raise BadInput(
                f"{loaded.checkpoint.name} can learn none of the {len(left)} examples, the first one for "
                f"this reason: {left[0].sentence}"
            )
        _tell_left(left, tell)
        asked, _ = _taught(loaded, folder.examples("held_out"), config)
        scenes = rehearsal(
            loaded, config.rehearsal if config.stage is not Stage.PREFERENCE else 0, config.seed
        )
        total = _total(config, len(taught), len(scenes))
        training = order(len(taught), len(scenes), total, config.seed)
        held_out = range(len(taught) + len(scenes), len(taught) + len(scenes) + len(asked))
        rounds = sum(row < len(taught) for row in training) / len(taught)
        everything: list[Any] = [*taught, *scenes, *asked]
        flat = in_turns(everything) if _paired(config) else everything
        return cls(flat, training, list(held_out), rounds)


def _taught(
    loaded: LoadedModel, examples: Sequence[Example], config: RunConfig
) -> tuple[Sequence[Any], list[Left]]:
    """What a run's stage makes of examples: lessons, or pairs of them."""
    if config.stage is not Stage.PREFERENCE:
        return lessons(loaded, examples, config.pixels)
    if not fused(loaded.model):
        raise ModelUnavailable(
            f"{loaded.checkpoint.name} cannot learn preferences: TRL reads decoders only; teach it "
            "right answers instead."
        )
    if config.preference == "kto" and config.batch < 2:
        raise BadInput("KTO compares the answers of a batch, which has at least 2 examples: set batch to 2.")
    return (pairs if config.preference == "dpo" else unpaired)(loaded, examples, config.pixels)


def _paired(config: RunConfig) -> bool:
    return config.stage is Stage.PREFERENCE and config.preference == "dpo"


def _batch(config: RunConfig) -> int:
    """Rows of a step in one process."""
    return config.batch * config.accumulation


def _total(config: RunConfig, examples: int, scenes: int) -> int:
    """Rows of the whole run."""
    if config.steps is not None:
        return config.steps * _batch(config) * _processes()
    step = _batch(config) * _processes()
    return step * math.ceil((config.epochs * examples + scenes) / step)


def _teach(teacher: Any, folder: Folder, watcher: Watcher) -> None:
    last = checkpoints.last(folder.checkpoints)
    if last is None or checkpoints.step(last) < teacher.args.max_steps:
        teacher.train(resume_from_checkpoint=str(last) if last else None)
    else:
        teacher._load_from_checkpoint(str(last))  # it was trained to the end, and not saved
    step, told = teacher.state.global_step, watcher.evaluated
    if (
        not watcher.was_stopped
        and teacher.eval_dataset
        and step % folder.config.evaluate_every
        and step != told
    ):
        teacher.evaluate()


def _finish(model: Any, folder: Folder, watcher: Watcher) -> None:
    if watcher.best is not None:
        part = folder.adapter.with_name(f"{folder.adapter.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(watcher.best, part)
        part.replace(folder.adapter)
    else:
        save(model, folder.adapter)


def _tell_left(left: Sequence[Left], tell: Tell) -> None:
    for each in left[:_TOLD]:
        tell(Said(sentence=f"An example is left out: {each.sentence}"))
    if len(left) > _TOLD:
        tell(Said(sentence=f"In all {len(left)} examples are left out, as the base cannot be taught them."))


def _padding(loaded: LoadedModel) -> int:
    token = loaded.processor.tokenizer.pad_token_id
    return int(token if token is not None else loaded.processor.tokenizer.eos_token_id or 0)


def _processes() -> int:
    from accelerate import PartialState

    return int(PartialState().num_processes)


def _cuda() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _to_nobody(_: object) -> None:
    """The other processes of a run are silent."""
