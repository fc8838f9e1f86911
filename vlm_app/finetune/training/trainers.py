"""TRL's trainers, with our batches, a rate for each tower and features that are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import torch
from transformers import PrinterCallback, Trainer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from vlm_app.engine.loaded import LoadedModel
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.training import Folder, checkpoints, collating
from vlm_app.finetune.training.collating import ROWS, Collate, Shelf
from vlm_app.finetune.training.towers import tower_of

if TYPE_CHECKING:
    from datasets import Dataset


class _OurBatches:
    """What the three trainers get on top: the rows of a batch name the features that it needs."""

    shelf: Shelf
    loaded: LoadedModel
    run: RunConfig
    model: Any
    args: Any
    optimizer: Any

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        rows = inputs.pop(ROWS)
        kept = self.shelf.features
        with kept.of(self.shelf.pictures(rows)) if kept else nullcontext():
            return self._loss(model, inputs, *args, **options)

    def _loss(self, *args: Any, **options: Any) -> Any:
        return super().compute_loss(*args, **options)  # type: ignore[misc]

    def create_optimizer(self, model: Any = None) -> Any:
        """AdamW with the rate of each tower. Names are those of the bare model."""
        if self.optimizer is None:
            self.optimizer = torch.optim.AdamW(_groups(self.loaded, self.model, self.run), fused=True)
        return self.optimizer

    def create_model_card(self, *args: Any, **options: Any) -> None:
        """Every adapter gets a card of ours."""


class Answers(_OurBatches, SFTTrainer):
    """Supervised fine-tuning. Families that TRL's fused head cannot read compute their own loss."""

    def _loss(self, *args: Any, **options: Any) -> Any:
        if fused(self.loaded.model):
            return SFTTrainer.compute_loss(self, *args, **options)
        return Trainer.compute_loss(self, *args, **options)


class Pairs(_OurBatches, DPOTrainer):
    """Direct preference optimization."""


class Unpaired(_OurBatches, KTOTrainer):
    """Kahneman-Tversky optimization: answers that were right or wrong, each by itself."""


def fused(model: Any) -> bool:
    """Whether TRL's fused head reads this model: a decoder whose body ends in hidden states."""
    return model.base_model is not model and not model.config.is_encoder_decoder


def trainer(
    folder: Folder,
    loaded: LoadedModel,
    model: Any,
    steps: int,
    shelf: Shelf,
    rows: tuple[Sequence[int], Sequence[int]],
    callbacks: Sequence[Any],
) -> Any:
    """The trainer of a run's stage. `rows` are the places on the shelf to train and to evaluate on.

    `model` is PEFT's around `loaded.model`.
    """
    config = folder.config
    kind, settings, collate = _KINDS[config.preference if config.stage is Stage.PREFERENCE else "sft"]
    training, held_out = (_dataset(each) for each in rows)
    made: Any = kind.__new__(kind)
    made.shelf, made.loaded, made.run = shelf, loaded, config  # wanted while it is made
    made.__init__(
        model=model,
        args=settings(**_options(folder, loaded, steps, held_out is not None)),
        train_dataset=training,
        eval_dataset=held_out,
        processing_class=loaded.processor,
        data_collator=collate(shelf),
        callbacks=list(callbacks),
    )
    made.remove_callback(PrinterCallback)  # what is to be said is said by ours
    return made


_KINDS: dict[str, tuple[Any, Any, Callable[[Shelf], Collate]]] = {
    "sft": (Answers, SFTConfig, collating.answers),
    "dpo": (Pairs, DPOConfig, collating.paired),
    "kto": (Unpaired, KTOConfig, collating.unpaired),
}


def _dataset(rows: Sequence[int]) -> Dataset | None:
    """A dataset of numbers alone: pictures are read when a batch needs them."""
    from datasets import Dataset

    # A column of this name tells TRL to leave the rows to the collator.
    return Dataset.from_dict({"row": list(rows), "images": [[]] * len(rows)}) if rows else None


def _options(folder: Folder, loaded: LoadedModel, steps: int, evaluated: bool) -> dict[str, Any]:
    config, dtype = folder.config, loaded.model.dtype
    options: dict[str, Any] = {
        "output_dir": str(folder.checkpoints),
        "max_steps": steps,
        "per_device_train_batch_size": config.batch,
        "per_device_eval_batch_size": config.batch,
        "gradient_accumulation_steps": config.accumulation,
        "learning_rate": config.rate,
        "lr_scheduler_type": {"constant": "constant_with_warmup"}.get(config.schedule, config.schedule),
        "warmup_steps": round(config.warmup * steps),
        "weight_decay": 0.0,
        "activation_checkpointing": config.checkpointing,
        "bf16": dtype is torch.bfloat16,
        "fp16": dtype is torch.float16,
        "use_cpu": loaded.device == "cpu",
        "seed": config.seed,
        "train_sampling_strategy": "sequential",  # the rows are in the order of the run
        "max_length": None,  # images must not be cut
        "remove_unused_columns": False,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would tell 0 of a loss that is no number
        "save_strategy": "steps",
        "save_steps": config.save_every,
        "save_total_limit": 2,
        "eval_strategy": "steps" if evaluated else "no",
        "eval_steps": config.evaluate_every,
        "eval_on_start": evaluated and checkpoints.last(folder.checkpoints) is None,
        "prediction_loss_only": True,
        "dataloader_pin_memory": loaded.device != "cpu",
        "disable_tqdm": True,
        "report_to": [],
    }
    if config.stage is Stage.PREFERENCE:
        options["beta"] = config.beta
    return options


def _groups(loaded: LoadedModel, model: Any, config: RunConfig) -> Iterator[dict[str, Any]]:
    """The parameters that learn, by the rate of their tower."""
    rates = {"vision": config.rate_vision, "connector": config.rate_connector}
    by_rate: dict[float, list[Any]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            bare = name.partition("base_model.model.")[2] or name
            tower = tower_of(bare, loaded.model, loaded.family).partition(" ")[0]
            by_rate.setdefault(rates.get(tower) or config.rate, []).append(parameter)
    # The scheduler reports the first group's rate: the run's own.
    for rate in sorted(by_rate, key=lambda rate: rate != config.rate):
        yield {"params": by_rate[rate], "lr": rate, "weight_decay": 0.0}
