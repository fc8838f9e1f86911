"""A model that is larger than the memory for it answers from the disk, and answers the same."""

from __future__ import annotations

import gc
from pathlib import Path

import psutil
import pytest
import torch

from tests.engine.ready import Ready
from tests.families import checkpoints
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.loading import load, load_checkpoint
from vlm_app.engine.local import LocalBackend
from vlm_app.engine.offloading import offload_folder
from vlm_app.settings import settings
from vlm_app.types import Request, Role, Sampling, Task, Turn

IDS = torch.arange(5, 25)[None]


def logits(loaded: LoadedModel) -> torch.Tensor:
    inputs = {"input_ids": IDS}
    if loaded.model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = IDS
    with torch.no_grad():
        found: torch.Tensor = loaded.model(**inputs).logits
    return found


def answer(loaded: LoadedModel) -> str:
    turns = (Turn(Role.USER, (checkpoints.picture(), "What is in the image?")),)
    tasks = loaded.family.tasks
    task = Task.CHAT if Task.CHAT in tasks else next(task for task in Task if task in tasks)
    asked = Request(turns, loaded.checkpoint.id, task, "a circle", sampling=Sampling(max_tokens=6))
    *_, last = Engine({loaded.checkpoint.id: loaded.checkpoint}, Ready(loaded)).answer(asked)
    assert last.answer is not None
    return last.answer.raw


def by_budget(family: str, budget: int) -> dict[str, str | int]:
    """What accelerate puts where when the CPU may hold so many bytes."""
    from accelerate import infer_auto_device_map
    from transformers import AutoConfig, AutoModelForImageTextToText

    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(
            AutoConfig.from_pretrained(checkpoints.checkpoint(family)), dtype=torch.float32
        )
    model.tie_weights()
    places: dict[str, str | int] = infer_auto_device_map(
        model, {"cpu": budget}, no_split_module_classes=model._no_split_modules
    )
    return places


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "florence2"])
def test_a_model_larger_than_the_budget_answers_the_same_from_the_disk(family: str) -> None:
    row = checkpoints.row(family)
    whole = load_checkpoint(row, "fp32")
    places = by_budget(family, whole.bytes // 2)
    assert {"cpu", "disk"} == set(places.values())
    part = load(Plan(row, "fp32", whole.bytes, 0, "cpu", places))
    assert 0 < part.bytes <= whole.bytes // 2
    assert torch.equal(logits(part), logits(whole))
    assert answer(part) == answer(whole)


def test_a_model_that_is_on_the_disk_altogether_answers_the_same() -> None:
    row = checkpoints.row("llava")
    whole = load_checkpoint(row, "bf16")
    none = load(Plan(row, "bf16", 0, 0, "cpu", {"": "disk"}))
    assert none.bytes < 1000
    assert answer(none) == answer(whole)


def test_what_was_written_to_the_disk_goes_with_the_model() -> None:
    backend, root = LocalBackend(), settings().data / "cache" / "offload"
    loaded = backend.load(Plan(checkpoints.row("llava"), "bf16", 0, 0, "cpu", {"": "disk"}), Watch())
    (folder,) = root.iterdir()
    backend.unload(loaded)
    assert not folder.exists()


def test_what_a_crashed_process_left_on_the_disk_is_removed_and_others_is_kept() -> None:
    root = settings().data / "cache" / "offload"
    process = psutil.Process()
    gone = [root / "999999999-1-x", root / f"{process.pid}-1-x", root / "strange"]
    used = root / f"{process.pid}-{process.create_time():.0f}-x"
    for folder in (*gone, used):
        folder.mkdir(parents=True)
        (folder / "weight.dat").write_bytes(b"x")
    with offload_folder() as new:
        left: set[Path] = set(root.iterdir())
    gc.collect()
    assert left == {new, used}
    assert not new.exists()
