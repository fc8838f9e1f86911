"""What TRL and bitsandbytes do silently unless they are told otherwise."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.families import checkpoints
from tests.finetune.teaching import QUIET, example, run, tiny_base
from vlm_app.engine.loading import load_checkpoint
from vlm_app.finetune.training.collating import Shelf
from vlm_app.finetune.training.lessons import lesson
from vlm_app.finetune.training.towers import is_quantized

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]


def test_an_example_of_more_than_1024_tokens_is_taught_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL cuts rows at 1,024 tokens by itself: here the answer would be gone, and nothing learned."""
    tiny_base(monkeypatch)
    seen: list[tuple[int, int]] = []
    batch = Shelf.batch

    def noted(self: Shelf, rows: list[int]) -> object:
        made = batch(self, rows)
        seen.append((made["input_ids"].shape[1], int((made["labels"] >= 0).sum())))
        return made

    monkeypatch.setattr(Shelf, "batch", noted)
    made = run(tmp_path, steps=1, batch=1)
    asked = " ".join(["What is in the image?"] * 400)
    made.train, made.held_out = [replace(example(1), query=asked)], []
    made.go()
    tokens, learned = seen[-1]
    assert tokens > 1024 and learned > 0 and made.losses[1] > 0 and math.isfinite(made.losses[1])
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    assert tokens == lesson(loaded, made.train[0], None).encode()["input_ids"].shape[1]


@pytest.mark.parametrize("precision", ["int8", "nf4"])
def test_a_quantized_base_keeps_its_head(precision: str) -> None:
    """A list of modules to leave alone is matched from the start of their names, and drops the head's."""
    loaded = load_checkpoint(checkpoints.row("smolvlm"), precision)
    assert is_quantized(loaded.model.get_submodule("model.text_model"))
    assert not is_quantized(loaded.model.get_output_embeddings())
