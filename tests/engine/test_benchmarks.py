"""The measurements run: in small, on this machine."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from benchmarks import cuda_smoke, manager, shapes
from benchmarks.serve import gpu, models, start, users
from benchmarks.serve.ours import Ours
from benchmarks.serve.plain import Plain
from benchmarks.serve.rows import PLAIN, SERVED, compared, show
from vlm_app.engine.loading import load_checkpoint

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


def small_shape(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a shape that is built in a second."""
    small = {"hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 2, "vocab_size": 1024}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": True}
    monkeypatch.setitem(shapes.QWEN, "a small shape", small | heads)
    vision = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 4}
    monkeypatch.setattr(shapes, "_VISION", vision | {"fullatt_block_indexes": [1]})
    return "a small shape"


def test_a_shape_is_built_and_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = shapes.qwen(small_shape(monkeypatch), tmp_path)
    manager.ask(manager.load(manager.LocalBackend(), row, "bf16"))


@pytest.mark.timeout(600)
def test_answers_are_measured_against_plain_generate_and_a_real_server(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = models.pebble(tmp_path / "pebble")
    ours, plain, size = Ours(row), Plain(row), users.Size(rounds=1, tokens=8, long=24, after=4)
    rows = users.conversation(row, ours, plain, 256, size, wanted=True)
    rows += users.looks(row, ours, 256, 4, models.adapt(row))
    rows += users.crowd(row, ours, plain, size, 256, of_one=3.0) + users.ninth(row, ours, size, 256)
    ours.close()
    assert len(rows) == 9
    assert set(rows[0]["against"]) == {PLAIN, SERVED} and all(rows[0]["against"].values())
    show("here", rows)
    shown = capsys.readouterr().out
    assert shown.count("holds |") + shown.count("**missed** |") == sum("wanted" in row for row in rows) == 8


def test_a_ratio_is_that_of_a_round_and_held_against_what_is_wanted() -> None:
    faster = compared("answers", "tokens/s", [10, 30, 20], {PLAIN: [5, 30, 40]}, {PLAIN: 1.0})
    assert faster["ratio"] == {PLAIN: 1.0} and faster["ours"] == 20 and faster["holds"] is True
    later = compared("first token", "s", [3, 3], {PLAIN: [10, 10]}, {PLAIN: 0.15}, least=False)
    assert later["holds"] is False and later["wanted"] == f"≤ 0.15 × {PLAIN}"


def test_a_tied_table_is_read_once_for_a_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = models.wordy(shapes.qwen(small_shape(monkeypatch), tmp_path / "shape"))
    model = load_checkpoint(row, "bf16").model
    assert gpu.read_bytes(model) == sum(each.nbytes for each in model.model.language_model.parameters())


def test_decoding_is_held_against_the_bound_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "bandwidth", lambda: 1e15)
    monkeypatch.setattr(gpu, "WARM_SECONDS", 0.0)
    row = models.wordy(shapes.qwen(small_shape(monkeypatch), tmp_path / "shape"))
    rate, share, *many = gpu.decoding(row, users.Size(rounds=1, tokens=4))
    assert set(rate["against"]) == {PLAIN} and 0 < share["ours"] < 0.7 and share["holds"] is False
    assert len(many) == 3


def test_the_time_of_an_import_is_that_of_a_new_python() -> None:
    light, heavy = (min(start.importing(name) for _ in range(2)) for name in ("vlm_app", "vlm_app.engine"))
    assert 0 < light < heavy
