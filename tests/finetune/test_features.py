"""A frozen vision tower looks at each picture once, and nothing that is learned changes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.families import checkpoints
from tests.finetune.teaching import QUIET, example, run, tiny_base
from tests.sizes import TRAINED_FAMILIES
from vlm_app.engine.loading import load_checkpoint
from vlm_app.finetune.training import course
from vlm_app.finetune.training.collating import together
from vlm_app.finetune.training.features import Features, features
from vlm_app.finetune.training.lessons import lesson
from vlm_app.finetune.training.trainers import fused

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]
FIRST = ("smolvlm", "qwen2_5_vl", "llava")
NAMES = sorted(checkpoints.names(), key=lambda name: (name not in FIRST, name))[:TRAINED_FAMILIES]


@pytest.mark.parametrize("towers", [["language"], ["connector", "language"]])
def test_losses_are_the_same_with_and_without_kept_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, towers: list[str]
) -> None:
    tiny_base(monkeypatch)
    looks = watched(monkeypatch)
    kept = run(tmp_path / "kept", towers=towers).go()
    assert len(looks) == 8  # six examples in two rounds, and two held-out ones at three evaluations
    monkeypatch.setattr(course, "features", lambda loaded, folder: None)
    anew = run(tmp_path / "anew", towers=towers).go()
    assert kept.losses == pytest.approx(anew.losses, abs=1e-5)
    assert kept.held_out_losses == pytest.approx(anew.held_out_losses, abs=1e-5)
    assert [sample.text for sample in kept.samples] == [sample.text for sample in anew.samples]


def watched(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The keys of the pictures that are kept."""
    seen: set[str] = set()
    see = Features.see

    def noted(self: Features, pictures: str, inputs: dict[str, Any]) -> None:
        seen.add(pictures)
        see(self, pictures, inputs)

    monkeypatch.setattr(Features, "see", noted)
    return seen


def test_the_tower_is_asked_once_for_each_picture(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    calls = counted(loaded.model.get_submodule("model.vision_model"))
    kept = features(loaded, tmp_path)
    assert kept is not None
    rows = [lesson(loaded, example(number), None) for number in range(3)]
    kept.try_out([row.pictures for row in rows], [row.encode() for row in rows], lambda r: together(r, 0))
    assert kept.on and len(calls) == 4  # each of the three, and the three together
    for row in [*rows, *rows]:
        kept.see(row.pictures, row.encode())
    assert len(calls) == 4


def counted(module: Any) -> list[int]:
    """Grows by one whenever the module computes."""
    calls: list[int] = []
    forward = module.forward

    def noted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return forward(*args, **options)

    module.forward = noted
    return calls


def test_what_does_not_fit_into_memory_is_kept_on_disk(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    row = lesson(loaded, example(0), None)
    inputs = row.encode()
    kept = Features(loaded, "model.vision_model", tmp_path, most=0)
    kept.try_out([row.pictures] * 2, [inputs] * 2, lambda rows: together(rows, 0))
    assert list(tmp_path.glob("*.pt")) and kept.on
    with torch.no_grad():
        blank = kept.without_pictures(inputs)
        with kept.of([row.pictures]):
            given = loaded.model(**blank).loss
        assert given == pytest.approx(float(loaded.model(**inputs).loss), abs=1e-5)
        assert float(loaded.model(**blank).loss) != pytest.approx(float(given), abs=1e-5)
    kept.close()
    assert not list(tmp_path.glob("*.pt"))


def test_a_tower_that_learns_is_never_kept(tmp_path: Path) -> None:
    loaded = load_checkpoint(checkpoints.row("smolvlm"), "fp32")
    course.adapted(loaded, run(tmp_path, towers=["vision"]).config)
    assert features(loaded, tmp_path) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_padded_batch_has_the_losses_of_its_rows(name: str, tmp_path: Path) -> None:
    """In every family: what is padded changes nothing, and TRL's head finds the model's own loss."""
    loaded = load_checkpoint(checkpoints.row(name), "fp32")
    rows = [lesson(loaded, example(number), None).encode() for number in range(2)]
    with torch.no_grad():
        losses = [float(loaded.model(**row).loss) for row in rows]
        counts = [int((row["labels"][:, 1:] >= 0).sum()) for row in rows]
        if loaded.model.config.is_encoder_decoder:
            counts = [int((row["labels"] >= 0).sum()) for row in rows]
        batch = together(rows, int(loaded.processor.tokenizer.pad_token_id or 0))
        mean = sum(a * b for a, b in zip(losses, counts, strict=True)) / sum(counts)
        assert float(loaded.model(**batch).loss) == pytest.approx(mean, abs=1e-4)
        if fused(loaded.model):
            from trl.trainer.utils import add_fused_lm_head

            add_fused_lm_head(loaded.model)
            batch.pop("use_cache", None)
            found = loaded.model(**batch, fused_lm_head=True).loss
            assert float(found) == pytest.approx(mean, abs=1e-4)
