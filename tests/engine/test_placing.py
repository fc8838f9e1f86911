"""Where a model goes that one device is too small for, computed on empty tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.scaled import scaled
from vlm_app.engine import memory, placing
from vlm_app.engine.anatomy import build
from vlm_app.engine.backend import Watch
from vlm_app.engine.devices import Device
from vlm_app.engine.loading import load, load_checkpoint
from vlm_app.engine.memory import estimate, plan
from vlm_app.engine.placing import device_map, placed
from vlm_app.errors import ModelUnavailable
from vlm_app.settings import Settings, settings
from vlm_app.types import Checkpoint

GB = 10**9


@pytest.fixture
def row() -> Checkpoint:
    return scaled("qwen3_vl")


@pytest.fixture
def model(row: Checkpoint) -> Any:
    return build(Path(row.source))


def computer(monkeypatch: pytest.MonkeyPatch, *free: int, host: int = GB) -> None:
    """One with so many bytes free on each of its GPUs."""
    gpus = [Device(f"cuda:{number}", f"GPU {number}", GB, each) for number, each in enumerate(free)]
    found = (*gpus, Device("cpu", "CPU", host, host))
    for module in (memory, placing):
        monkeypatch.setattr(module, "devices", lambda: found)
    monkeypatch.setattr(memory, "_device", lambda: found[0].name.partition(":")[0])
    monkeypatch.setattr(memory, "best_precision", lambda device: "bf16")
    monkeypatch.setattr("vlm_app.engine.quantizing.best_precision", lambda device: "bf16")


def offload(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    chosen = settings().model_copy(update={"offload": where})
    assert isinstance(chosen, Settings)
    for module in (memory, placing):
        monkeypatch.setattr(module, "settings", lambda: chosen)


@pytest.mark.parametrize("precision", ["bf16", "int8", "nf4"])
def test_two_gpus_share_a_model_and_no_block_is_split(model: Any, precision: str) -> None:
    whole = sum(placed(model, precision, {"": 0}).values())
    room = {0: round(whole * 0.7), 1: round(whole * 0.7)}
    places = device_map(model, precision, room)
    assert places is not None and set(places.values()) == {0, 1}
    sizes = placed(model, precision, places)
    assert all(sizes[device] <= room[device] for device in room)
    assert sum(sizes.values()) == pytest.approx(whole, rel=0.01)
    blocks = [
        name for name, module in model.named_modules() if type(module).__name__ in model._no_split_modules
    ]
    for block in blocks:
        inside = {name for name in places if name.startswith(f"{block}.")}
        assert not inside, f"{block} is split over {inside}"


def test_every_tensor_has_a_place(model: Any) -> None:
    whole = sum(placed(model, "bf16", {"": 0}).values())
    places = device_map(model, "bf16", {0: round(whole * 0.7), 1: round(whole * 0.7)})
    assert places is not None
    for name, _ in [*model.named_parameters(), *model.named_buffers()]:
        assert any(name == place or name.startswith(f"{place}.") or not place for place in places), name


def test_a_model_in_fp32_takes_twice_the_room(row: Checkpoint, model: Any) -> None:
    large = build(Path(row.source), "float32")
    half, whole = (placed(each, "", {"": 0})[0] for each in (model, large))
    assert whole == pytest.approx(2 * half, rel=0.01)


def test_where_two_gpus_do_not_suffice_there_is_no_map(model: Any) -> None:
    assert device_map(model, "bf16", {0: 1_000_000, 1: 1_000_000}) is None


def test_one_gpu_holds_all_where_it_fits(row: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    computer(monkeypatch, GB, GB)
    found = plan(row, "auto", GB, Watch())
    assert (found.precision, found.device, dict(found.places)) == ("bf16", "cuda:0", {})


def test_two_gpus_are_used_where_one_is_too_small(row: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    computer(monkeypatch, 0, 0)
    needed = estimate(row, "bf16")
    assert needed is not None
    each = round(needed.weights * 0.7) + needed.working
    computer(monkeypatch, each, each)
    found = plan(row, "bf16", each, Watch())
    assert found.device == "cuda:0" and set(found.places.values()) == {0, 1}
    assert 0 < found.weights < needed.weights and found.bytes <= each


def test_slower_memory_is_used_by_choice_only(row: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    computer(monkeypatch, 0)
    needed = estimate(row, "bf16")
    assert needed is not None
    free = needed.working + round(needed.weights * 0.7)
    computer(monkeypatch, free)
    offload(monkeypatch, "never")
    with pytest.raises(ModelUnavailable, match="VLM_APP_OFFLOAD=cpu or disk"):
        plan(row, "bf16", free, Watch())
    offload(monkeypatch, "cpu")
    assert set(plan(row, "bf16", free, Watch()).places.values()) == {0, "cpu"}


def test_a_computer_without_gpus_may_leave_a_part_on_the_disk(
    row: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = estimate(row, "bf16")
    assert needed is not None
    budget = needed.working + round(needed.weights * 0.6)
    computer(monkeypatch, host=budget)
    offload(monkeypatch, "disk")
    found = plan(row, "bf16", budget, Watch())
    assert found.device == "cpu" and set(found.places.values()) == {"cpu", "disk"}
    assert found.bytes <= budget
    parted, whole = load(found), load_checkpoint(row, "bf16")
    ids = torch.arange(20).reshape(1, -1)
    with torch.inference_mode():
        assert torch.equal(parted.model(input_ids=ids).logits, whole.model(input_ids=ids).logits)
    assert parted.bytes <= round(needed.weights * 0.6)


def test_a_refusal_names_the_numbers_and_what_would_fit(
    row: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    computer(monkeypatch, host=GB)
    needed, smaller = estimate(row, "bf16"), estimate(row, "nf4")
    assert needed is not None and smaller is not None
    free = (needed.total + smaller.total) // 2
    with pytest.raises(ModelUnavailable) as refusal:
        plan(row, "bf16", free, Watch())
    said = refusal.value.sentence
    assert f"needs {memory.size(needed.total)} in bf16 and {memory.size(free)} can be had on CPU" in said
    assert f"nf4 would need {memory.size(smaller.total)}" in said


def test_a_refusal_names_the_limit_that_was_set(row: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    computer(monkeypatch, host=GB)
    chosen = settings().model_copy(update={"memory": 1_000_000})
    monkeypatch.setattr(memory, "settings", lambda: chosen)
    with pytest.raises(ModelUnavailable, match="or raise VLM_APP_MEMORY, which is 1 MB"):
        plan(row, "auto", 1_000_000, Watch())
    with pytest.raises(ModelUnavailable) as refusal:
        plan(row, "auto", 900_000, Watch())  # less than the limit: what is short is memory
    assert "VLM_APP_MEMORY" not in refusal.value.sentence


def test_auto_says_which_precisions_it_could_not_try(
    row: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_bitsandbytes", lambda: False)
    computer(monkeypatch, host=GB)
    with pytest.raises(ModelUnavailable, match="nf4 needs the package bitsandbytes, which is not installed"):
        plan(row, "auto", 1_000_000, Watch())


def test_a_precision_that_cannot_be_made_is_refused(row: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_bitsandbytes", lambda: False)
    computer(monkeypatch, host=GB)
    with pytest.raises(ModelUnavailable, match="cannot be loaded in int8: int8 needs the package"):
        plan(row, "int8", GB, Watch())


def test_planning_without_a_network_goes_by_the_number_of_parameters() -> None:
    """The tests run with HF_HUB_OFFLINE=1."""
    row = Checkpoint("big", "Big", "qwen3_vl", "some/big", frozenset(), parameters=1_000_000_000)
    seen = []
    found = plan(row, "nf4", 8 * GB, Watch(lambda progress: seen.append(progress.stage)))
    assert found.weights == pytest.approx(516_000_000, rel=0.01) and set(seen) == {"planning"}
    with pytest.raises(ModelUnavailable, match=r"Big needs about .* in nf4, the smallest precision"):
        plan(row, "auto", 100_000_000, Watch())


def test_what_nobody_knows_is_left_to_the_load() -> None:
    row = Checkpoint("big", "Big", "qwen3_vl", "some/big", frozenset())
    assert plan(row, "nf4", GB, Watch()).weights == 0
