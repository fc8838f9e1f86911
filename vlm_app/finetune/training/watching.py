"""What a run says of itself while TRL's trainer goes on, and when it ends early."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import TrainerCallback

from vlm_app.engine import cores
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import peak_bytes
from vlm_app.errors import AppError, ModelUnavailable
from vlm_app.finetune.asking import question
from vlm_app.finetune.events import Evaluated, Event, Sampled, Saved, Stepped
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.scoring import FIGURES, HEADLINES, Scores, scored
from vlm_app.finetune.spread import SAMPLES, WATCHED, spread
from vlm_app.finetune.training import Stopped, Tell, checkpoints
from vlm_app.finetune.training.answering import answer
from vlm_app.grounding import region_to_dict

_RECENT = 20  # steps from which the speed is told


class Watcher(TrainerCallback):
    """Tells of steps, evaluations, samples and checkpoints; stops when asked to, or at no progress.

    Raises `ModelUnavailable` at a step whose loss is no number: nothing is learned from there on.
    """

    # `rounds` are those over the examples in the whole run; `save` puts the adapter as it is into a folder.
    def __init__(
        self,
        loaded: LoadedModel,
        config: RunConfig,
        folder: Path,
        held_out: Sequence[Example],
        rounds: float,
        save: Callable[[Path], None],
        tell: Tell,
        stopped: Stopped,
    ) -> None:
        self._loaded, self._config, self._folder = loaded, config, folder
        self._held_out, self._rounds = held_out, rounds
        self._askable = [number for number, each in enumerate(held_out) if _can_be_asked(each, loaded)]
        self._save, self._tell, self._stopped = save, tell, stopped
        self._mark = time.monotonic()
        self._seconds: deque[float] = deque(maxlen=_RECENT)
        self._evaluating: deque[float] = deque(maxlen=3)
        going_on = checkpoints.last(folder)
        self._best = _Best(checkpoints.known(going_on) if going_on else {})
        self.was_stopped = False
        self.evaluated = -1  # the step of the last evaluation

    # --- transformers calls these ------------------------------------------------------------

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._mark = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._seconds.append(self._lap())
        if _anywhere(self._stopped()):
            self.was_stopped = True
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        cores.share()

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        if "loss" not in logs:
            return
        if not math.isfinite(logs["loss"]):
            raise ModelUnavailable(
                f"At step {state.global_step} the loss is no number any more: lower the learning rate, and "
                "start it again."
            )
        if not state.is_world_process_zero:
            return
        rows = args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size
        mean = fmean(self._seconds) if self._seconds else 0.0
        self._say(
            Stepped(
                step=state.global_step,
                steps=state.max_steps,
                epoch=self._rounds * state.global_step / state.max_steps,
                loss=float(logs["loss"]),
                rate=float(logs["learning_rate"]),
                memory=peak_bytes(self._loaded.device),
                examples_per_second=rows / mean if mean else 0.0,
                seconds_left=self._left(state) if mean else None,
            )
        )

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, Any], **_: Any) -> None:
        loss = metrics.get("eval_loss")
        scores = self._scores() if self._config.watch == "score" else Scores({})
        figure = loss if self._config.watch == "loss" else _badness(scores)
        better = figure is not None and self._best.take(float(figure))
        if state.is_world_process_zero:
            self._say(Evaluated(step=state.global_step, loss=loss, scores=scores.flat(), best=better))
            self._sample(state.global_step)
            if better and self._config.patience:
                self._save(checkpoints.best(self._folder))
        if self._config.patience and self._best.since >= self._config.patience:
            control.should_training_stop = True
        self.evaluated = state.global_step
        self._evaluating.append(self._lap())

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        _wait_for_all()
        if state.is_world_process_zero:
            checkpoints.finish(self._folder, state.global_step, self._best.known())
            self._say(Saved(step=state.global_step))
        self._lap()

    # --- what they say -----------------------------------------------------------------------

    @property
    def best(self) -> Path | None:
        """The adapter of the best evaluation, where a later one was worse."""
        path = checkpoints.best(self._folder)
        return path if self._config.patience and self._best.since and path.is_dir() else None

    def _say(self, event: Event) -> None:
        self._tell(event)

    def _lap(self) -> float:
        before, self._mark = self._mark, time.monotonic()
        return self._mark - before

    def _left(self, state: Any) -> float:
        """Seconds: the steps to come at the speed of the last ones, and their evaluations."""
        steps = state.max_steps - state.global_step
        left: float = steps * fmean(self._seconds)
        if self._evaluating:
            left += steps // self._config.evaluate_every * fmean(self._evaluating)
        return left

    def _sample(self, step: int) -> None:
        for number in spread(self._askable, SAMPLES):
            reply = answer(self._loaded, self._held_out[number], self._config.pixels)
            regions = [region_to_dict(region) for region in reply.regions]
            self._say(Sampled(step=step, example=number, text=reply.text, regions=regions))

    def _scores(self) -> Scores:
        """The figures of some held-out examples whose right answer is known."""
        known = [number for number in self._askable if self._held_out[number].chosen is not None]
        examples = [self._held_out[number] for number in spread(known, WATCHED)]
        return Scores.of(scored(each, answer(self._loaded, each, self._config.pixels)) for each in examples)


def _badness(scores: Scores) -> float | None:
    """The mean of the tasks' own figures, turned so that less is better."""
    found = []
    for task, figures in scores.tasks.items():
        name = HEADLINES[task]
        if name in figures.figures:
            value = figures.figures[name].value
            found.append(value if FIGURES[name].lower else -value)
    return fmean(found) if found else None


def _can_be_asked(example: Example, loaded: LoadedModel) -> bool:
    try:
        question(example, loaded.family)
    except AppError:
        return False
    return True


class _Best:
    """The best evaluation so far. Less is better."""

    def __init__(self, known: Mapping[str, Any]) -> None:
        self._value = float(known.get("value", math.inf))
        self.since = int(known.get("since", 0))  # evaluations that were no better

    def take(self, value: float) -> bool:
        """Whether this evaluation is the best; one that gave no number is not."""
        better = math.isfinite(value) and value < self._value
        self._value, self.since = (value, 0) if better else (self._value, self.since + 1)
        return better

    def known(self) -> dict[str, Any]:
        """What a run that goes on must know."""
        return {"value": self._value, "since": self.since} if math.isfinite(self._value) else {}


def _anywhere(said: bool) -> bool:
    """Whether any process said so: all of them stop at the same step."""
    import torch
    from torch import distributed

    if not (distributed.is_available() and distributed.is_initialized()):
        return said
    flag = torch.tensor(float(said))
    if distributed.get_backend() == "nccl":
        flag = flag.cuda()
    distributed.all_reduce(flag)
    return bool(flag)


def _wait_for_all() -> None:
    """Until every process has written its part of a checkpoint."""
    from torch import distributed

    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
