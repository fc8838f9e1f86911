"""A run that was cut off goes on as if it had not been."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from tests.finetune.teaching import QUIET, run, tiny_base
from vlm_app.errors import ModelUnavailable
from vlm_app.finetune.training import checkpoints

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]


@pytest.fixture(autouse=True)
def base(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_base(monkeypatch)


def test_a_resumed_run_has_the_losses_of_one_that_was_not_interrupted(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", dropout=0.1, accumulation=2).go()
    cut = run(tmp_path / "cut", dropout=0.1, accumulation=2)
    asked = iter([False, False, False, True])
    cut.go(lambda: next(asked)).go()
    assert list(cut.losses) == list(whole.losses)
    assert cut.losses == pytest.approx(whole.losses, abs=1e-3)
    assert cut.held_out_losses[-1] == pytest.approx(whole.held_out_losses[-1], abs=1e-3)
    assert cut.adapter.is_dir()


def test_a_checkpoint_that_was_cut_off_does_not_count(tmp_path: Path) -> None:
    made = run(tmp_path, save_every=2)
    asked = iter([False] * 3 + [True])
    made.go(lambda: next(asked))
    (made.checkpoints / "checkpoint-4" / "whole.json").unlink()
    made.said.clear()
    made.go()
    assert list(made.losses) == [3, 4, 5, 6]


@pytest.mark.parametrize("what", ["optimizer", "adapter"])
def test_a_full_disk_in_mid_checkpoint_is_told_and_the_last_one_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """As torch and safetensors report it, neither of them by an `OSError`."""
    made = run(tmp_path, save_every=2)
    full(monkeypatch, what)
    with pytest.raises(ModelUnavailable, match="disk is full"):
        made.go()
    assert [path.name for path in made.checkpoints.glob("checkpoint-*")] == ["checkpoint-2"]
    monkeypatch.undo()
    tiny_base(monkeypatch)
    made.said.clear()
    assert list(made.go().losses) == [3, 4, 5, 6]


def full(monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """From step 4 on the disk has no room for that file of a checkpoint."""
    import safetensors.torch
    import torch
    from peft import peft_model

    if what == "optimizer":
        save = torch.save

        def torch_s(data: object, path: object, *args: object, **options: object) -> None:
            with room(1_000) if "checkpoint-4/optimizer" in str(path) else nullcontext():
                save(data, path, *args, **options)

        monkeypatch.setattr(torch, "save", torch_s)
        return
    write = safetensors.torch.save_file

    def safetensors_s(data: object, path: object, *args: object, **options: object) -> None:
        if "checkpoint-4" in str(path):
            raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")
        write(data, path, *args, **options)

    monkeypatch.setattr(peft_model, "safe_save_file", safetensors_s)


@contextmanager
def room(most: int) -> Iterator[None]:
    """No file can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_fault_in_writing_that_is_no_full_disk_is_not_called_one() -> None:
    assert not checkpoints.out_of_room(RuntimeError("shapes differ"))
    assert not checkpoints.out_of_room(OSError(5, "Input/output error"))
    assert checkpoints.out_of_room(OSError(28, "No space left on device"))


def test_nothing_is_trained_twice_when_only_the_adapter_is_missing(tmp_path: Path) -> None:
    made = run(tmp_path).go()
    shutil.rmtree(made.adapter)
    made.said.clear()
    made.go()
    assert made.losses == {} and made.adapter.is_dir()
