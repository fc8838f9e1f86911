"""The measurements run: in small, on this machine."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import cuda_smoke, manager, shapes

# peft asks transformers for a name that transformers has renamed.
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")


@pytest.mark.parametrize("precision", cuda_smoke.PRECISIONS)
def test_one_training_step_on_a_quantized_model_changes_its_loss(precision: str) -> None:
    row = cuda_smoke.smoke(shapes.pebble(), precision)
    assert math.isfinite(row["loss before"]) and row["loss after"] < row["loss before"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU to try")
def test_without_a_gpu_it_says_that_nothing_was_tried(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["cuda_smoke"])
    assert cuda_smoke.main() == 1
    assert "no CUDA device" in capsys.readouterr().out


def test_the_manager_is_measured_on_the_built_in_model() -> None:
    tables = manager.measure(rounds=1, leak_rounds=2, shapes=())
    assert {row["precision"] for row in tables["loading"]} == set(manager.PRECISIONS)
    switches = {row["what"]: row["median, ms"] for row in tables["switching"]}
    assert all(isinstance(value, float) and value > 0 for value in switches.values()) and len(switches) == 4


def test_a_shape_is_built_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "vocab_size": 1024}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True}
    monkeypatch.setitem(shapes.QWEN, "a small shape", small | heads)
    vision = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4}
    monkeypatch.setattr(shapes, "_VISION", vision | {"fullatt_block_indexes": [1]})
    row = shapes.qwen("a small shape", tmp_path)
    manager.ask(manager.load(manager.LocalBackend(), row, "bf16"))
