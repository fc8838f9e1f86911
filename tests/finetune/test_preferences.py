"""Preferences: the right answer grows likelier than the wrong one, and questions stay those of chat."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import checkpoints
from tests.finetune.teaching import QUIET, Run, example, run, tiny_base
from vlm_app.engine import adapters
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import BadInput
from vlm_app.finetune.asking import question
from vlm_app.finetune.events import Stepped
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.training.collating import Shelf, in_turns, paired, unpaired
from vlm_app.finetune.training.lessons import lesson, pairs
from vlm_app.finetune.training.lessons import unpaired as unpaired_lessons
from vlm_app.settings import settings

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_base(monkeypatch)


def margin(loaded: LoadedModel, of: Example) -> float:
    """By how much the right answer is likelier than the wrong one, in nats."""
    found = []
    for bad in (False, True):
        row = lesson(loaded, of, None, rejected=bad).encode()
        with torch.no_grad():
            found.append(-float(loaded.model(**row).loss) * int((row["labels"][:, 1:] >= 0).sum()))
    return found[0] - found[1]


def margins(made: Run) -> tuple[float, float]:
    """Without and with the adapter."""
    shutil.copytree(made.adapter, settings().data / "adapters" / "taught")
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    before = sum(margin(loaded, each) for each in made.train)
    adapters.use(loaded, adapters.find("taught"))
    return before, sum(margin(loaded, each) for each in made.train)


@pytest.mark.parametrize("how", ["dpo", "kto"])
def test_a_right_answer_grows_likelier_than_the_wrong_one(tmp_path: Path, how: str) -> None:
    made = run(tmp_path, True, stage="preference", preference=how, steps=9, rate=3e-3).go()
    before, after = margins(made)
    assert after > before + 0.1
    assert {event.steps for event in made.said if isinstance(event, Stepped)} == {9}
    assert made.saved == [3, 6, 9] and len(made.held_out_losses) == 4


def test_preferences_go_on_from_an_adapter_and_resume(tmp_path: Path) -> None:
    taught = run(tmp_path / "sft", rate=3e-3).go()
    shutil.copytree(taught.adapter, settings().data / "adapters" / "first")
    config: dict[str, Any] = {"stage": "preference", "adapter": "first", "rate": 3e-3}
    whole = run(tmp_path / "whole", True, **config).go()
    cut = run(tmp_path / "cut", True, **config)
    asked = iter([False] * 3 + [True])
    cut.go(lambda: next(asked)).go()
    assert cut.losses == pytest.approx(whole.losses, abs=1e-3)
    assert whole.losses[1] == pytest.approx(0.6931, abs=1e-3)  # measured from the adapter, not from the base


@pytest.mark.parametrize("how", ["dpo", "kto"])
def test_a_pair_is_asked_as_chat_asks_it(how: str) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    several = [example(number, rejected=True) for number in range(2)]
    end = loaded.family.end
    if how == "dpo":
        made, _ = pairs(loaded, several, None)
        batch = paired(Shelf(in_turns(made), 0))([{"row": row} for row in range(2)])
        answers = [each.text for each in several] + [each.rejected.text for each in several if each.rejected]
    else:
        rows, _ = unpaired_lessons(loaded, several, None)
        batch = unpaired(Shelf(rows, 0))([{"row": row} for row in range(4)])
        answers = [text for each in several for text in (each.text, each.rejected and each.rejected.text)]
        assert batch["label"].tolist() == [True, False, True, False]
        assert batch["KL_input_ids"].shape == batch["input_ids"].shape
    order = [0, 1, 0, 1] if how == "dpo" else [0, 0, 1, 1]
    for row, (which, said) in enumerate(zip(order, answers, strict=True)):
        asked = question(several[which], loaded.family)
        chat = loaded.family.encode(loaded.processor, asked.turns, task=asked.task)[0]["input_ids"][0]
        assert torch.equal(batch["input_ids"][row, : len(chat)], chat)
        learned = batch["input_ids"][row][batch["completion_mask"][row] == 1]
        assert loaded.processor.tokenizer.decode(learned).strip() == f"{said}{end}"
        if how == "kto":
            assert torch.equal(batch["KL_input_ids"][row, : len(chat)], chat)
            other = batch["KL_input_ids"][row][batch["KL_completion_mask"][row] == 1]
            assert loaded.processor.tokenizer.decode(other).strip() == f"{answers[row - 1]}{end}"


def test_an_example_without_a_wrong_answer_is_no_pair(tmp_path: Path) -> None:
    made = run(tmp_path, stage="preference")
    with pytest.raises(BadInput, match="no wrong answer"):
        made.go()


def test_a_thumb_down_alone_teaches_kto(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    down = replace(example(0), text=None, rejected=Reply("A square."))
    made, left = unpaired_lessons(loaded, [down, example(1)], None)
    assert [each.good for each in made] == [False, True] and not left


def test_kto_wants_two_rows_at_a_time(tmp_path: Path) -> None:
    made = run(tmp_path, True, stage="preference", preference="kto", batch=1)
    with pytest.raises(BadInput, match="at least 2"):
        made.go()
