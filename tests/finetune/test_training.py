"""What somebody notices of a run: it tells what it does, stops when told, and its adapter changes answers."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import checkpoints
from tests.finetune.teaching import QUIET, Run, example, run, tiny_base
from vlm_app.engine import adapters
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.finetune.events import Evaluated, Said, Stepped
from vlm_app.finetune.examples import Example
from vlm_app.finetune.training import train
from vlm_app.finetune.training.collating import Shelf, answers
from vlm_app.finetune.training.course import adapted
from vlm_app.finetune.training.lessons import lesson, order, rehearsed
from vlm_app.finetune.training.trainers import Answers, _groups
from vlm_app.finetune.training.watching import _Best
from vlm_app.settings import settings
from vlm_app.types import Box, Region, Task

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_base(monkeypatch)


def attached(made: Run, precision: str = "fp32") -> tuple[LoadedModel, adapters.Adapter]:
    shutil.copytree(made.adapter, settings().data / "adapters" / "mine")
    return load_checkpoint(checkpoints.row("smolvlm"), precision), adapters.find("mine")


def logits(loaded: LoadedModel, of: Example) -> torch.Tensor:
    with torch.inference_mode():
        row = lesson(loaded, of, None).encode()
        found: torch.Tensor = loaded.model(**row).logits[row["labels"] >= 0]
        return found


def test_a_run_tells_its_steps_evaluations_samples_and_checkpoints(tmp_path: Path) -> None:
    made = run(tmp_path).go()
    assert list(made.losses) == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in made.said if isinstance(event, Evaluated)] == [0, 3, 6]
    assert made.saved == [3, 6]
    assert len(made.samples) == 6  # two held-out examples, three evaluations
    steps = [event for event in made.said if isinstance(event, Stepped)]
    assert all(step.memory > 0 and step.examples_per_second > 0 for step in steps)
    assert steps[-1].epoch == pytest.approx(2.0) and steps[-1].seconds_left == 0
    assert made.losses[6] < made.losses[1]


def test_the_adapter_attaches_to_its_base_and_changes_the_answer(tmp_path: Path) -> None:
    made = run(tmp_path).go()
    loaded, adapter = attached(made)
    before = logits(loaded, made.train[0])
    adapters.use(loaded, adapter)
    after = logits(loaded, made.train[0])
    assert (after - before).abs().max() > 0.1
    adapters.use(loaded, None)
    assert torch.equal(logits(loaded, made.train[0]), before)


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"dora": True, "checkpointing": True},
        {"stage": "projector"},
        {"stage": "preference"},
        {"precision": "nf4"},
    ],
    ids=str,
)
def test_the_base_that_training_gives_back_answers_as_if_nothing_had_been_taught(
    tmp_path: Path, changed: dict[str, Any]
) -> None:
    made = run(tmp_path, rejected="stage" in changed, steps=2, evaluate_every=9, **changed)
    given = train(made, made.said.append, lambda: False)
    assert given is not None and not [name for name, _ in given.model.named_parameters() if "lora" in name]
    fresh = load_checkpoint(checkpoints.row("smolvlm"), made.config.precision)
    assert torch.equal(logits(given, made.held_out[0]), logits(fresh, made.held_out[0]))
    assert type(given.model).forward is given.model.forward.__func__
    again = train(made, made.said.append, lambda: False)
    assert again is not None and made.saved == [2], "what is taught already is not taught again"
    assert train(run(tmp_path / "stopped"), made.said.append, lambda: True) is None


@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_the_adapter_attaches_to_the_quantized_base_too(tmp_path: Path, precision: str) -> None:
    made = run(tmp_path, steps=2).go()
    loaded, adapter = attached(made, precision)
    before = logits(loaded, made.train[0])
    adapters.use(loaded, adapter)
    assert (logits(loaded, made.train[0]) - before).abs().max() > 0.01


def test_a_whole_connector_is_taught_and_attached(tmp_path: Path) -> None:
    made = run(tmp_path, stage="projector").go()
    loaded, adapter = attached(made)
    before = logits(loaded, made.train[0])
    adapters.use(loaded, adapter)
    assert (logits(loaded, made.train[0]) - before).abs().max() > 1e-3


@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_a_quantized_base_is_taught(tmp_path: Path, precision: str) -> None:
    made = run(tmp_path, precision=precision, steps=4).go()
    assert made.losses[4] < made.losses[1]
    loaded, adapter = attached(made, precision)
    adapters.use(loaded, adapter)


def test_dora_with_gradient_checkpointing_is_taught(tmp_path: Path) -> None:
    made = run(tmp_path, dora=True, rslora=True, checkpointing=True, steps=4).go()
    assert made.losses[4] < made.losses[1]


def test_a_run_stops_at_the_step_at_which_it_is_told_and_keeps_it(tmp_path: Path) -> None:
    asked = iter([False, True, True])
    made = run(tmp_path, save_every=100).go(lambda: next(asked))
    assert list(made.losses) == [1, 2] and made.saved == [2]
    assert not made.adapter.exists()


def test_a_run_that_gets_no_better_ends_early_with_its_best_adapter(tmp_path: Path) -> None:
    made = run(tmp_path, rate=1.0, patience=1, steps=30, evaluate_every=1).go()
    evaluated = [event for event in made.said if isinstance(event, Evaluated)]
    assert not evaluated[-1].best and evaluated[-1].step < 30
    best = max(event.step for event in evaluated if event.best)
    assert best < evaluated[-1].step
    loaded, adapter = attached(made)
    before = logits(loaded, made.train[0])
    adapters.use(loaded, adapter)
    same = torch.equal(logits(loaded, made.train[0]), before)
    assert same == (best == 0)  # at step 0 the adapter changes nothing


def test_a_loss_that_is_no_number_ends_the_run_with_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compute = Answers._loss

    def diverged(self: Answers, *args: Any, **options: Any) -> Any:
        loss = compute(self, *args, **options)
        return loss * float("nan") if self.model.training and self.state.global_step == 3 else loss

    monkeypatch.setattr(Answers, "_loss", diverged)
    made = run(tmp_path)
    with pytest.raises(
        ModelUnavailable, match="At step 4 the loss is no number any more: lower the learning"
    ):
        made.go()
    assert list(made.losses) == [1, 2, 3] and not made.adapter.exists()


def test_an_evaluation_that_gives_no_number_is_never_the_best() -> None:
    best = _Best({})
    assert [best.take(value) for value in (math.nan, 1.0, -math.inf, 0.5)] == [False, True, False, True]
    assert best.known() == {"value": 0.5, "since": 0}


def test_an_example_that_the_base_cannot_learn_is_named_and_left_out(tmp_path: Path) -> None:
    made = run(tmp_path, steps=1)
    box = Example(made.train[0].pictures, Task.DETECT, "circle", "", (Region("circle", Box(0, 0, 1, 1)),))
    made.train = [*made.train, box]
    made.go()
    said = [event.sentence for event in made.said if isinstance(event, Said)]
    assert len(said) == 1 and "left out" in said[0]
    made.train = [box]
    shutil.rmtree(made.adapter)
    with pytest.raises(BadInput, match="can learn none of the 1 examples"):
        made.go()


def test_training_asks_as_chat_does_and_only_the_answer_is_learned(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    several = [example(number) for number in range(3)]
    shelf = Shelf([lesson(loaded, each, None) for each in several], padding=0)
    batch = answers(shelf)([{"row": row} for row in range(3)])
    for row, each in enumerate(several):
        from vlm_app.finetune.asking import question

        asked = question(each, loaded.family)
        chat = loaded.family.encode(loaded.processor, asked.turns, task=asked.task)[0]["input_ids"][0]
        labels = batch["labels"][row]
        start = int((labels >= 0).long().argmax())
        assert torch.equal(batch["input_ids"][row, :start], chat)
        learned = loaded.processor.tokenizer.decode(labels[labels >= 0])
        assert learned.strip() == f"{each.text}{loaded.family.end}"


def test_each_tower_learns_at_its_own_rate(tmp_path: Path) -> None:
    made = run(tmp_path, towers=["vision", "connector", "language"], rate_vision=1e-5, rate_connector=1e-3)
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    model = adapted(loaded, made.config)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    found: dict[float, set[str]] = {}
    groups: list[dict[str, Any]] = list(_groups(loaded, model, made.config))
    for group in groups:
        found[group["lr"]] = {
            tower
            for parameter in group["params"]
            for tower in ("vision_model", "connector", "text_model")
            if f".{tower}." in names[id(parameter)]
        }
    assert found == {1e-2: {"text_model"}, 1e-5: {"vision_model"}, 1e-3: {"connector"}}
    assert groups[0]["lr"] == 1e-2  # the one that is told


def test_gradients_of_a_4_bit_base_stay_right_after_it_has_answered() -> None:
    from vlm_app.finetune.run_config import RunConfig

    loaded = load_checkpoint(checkpoints.row("smolvlm"), "nf4")
    model = adapted(loaded, RunConfig(base="tiny", rank=4))
    row = lesson(loaded, example(1), None).encode()
    placed = {n: v.to(loaded.model.dtype) if v.is_floating_point() else v for n, v in row.items()}

    def gradient() -> torch.Tensor:
        model.train()
        model.zero_grad()
        model(**placed).loss.backward()
        return torch.cat([p.grad.flatten().float() for p in model.parameters() if p.grad is not None])

    fresh = gradient()
    model.eval()
    with torch.inference_mode():
        model(**placed)
    assert torch.cosine_similarity(fresh, gradient(), dim=0) >= 0.999


def test_rehearsed_scenes_are_spread_over_the_run_and_each_comes_once() -> None:
    rows = order(4, 10, 30, seed=0)
    assert sorted(row for row in rows if row >= 4) == list(range(4, 14))
    assert all(rows.count(row) == 5 for row in range(4))
    assert any(row >= 4 for row in rows[:4]) and any(row >= 4 for row in rows[-4:])
    turns, answer = rehearsed(0, 1)
    assert turns[0].pictures and answer


def test_more_scenes_than_examples_are_all_rehearsed() -> None:
    rows = order(4, 20, 28, seed=0)
    assert sorted(row for row in rows if row >= 4) == list(range(4, 24))
    assert all(rows.count(row) == 2 for row in range(4))
