"""The models that somebody is offered on a first start, by the machine they have."""

from __future__ import annotations

from dataclasses import replace

import pytest

from vlm_app import hub
from vlm_app.catalog import catalog
from vlm_app.engine import memory, offers
from vlm_app.engine.devices import Device
from vlm_app.engine.offers import MOST, READABLE, Offer
from vlm_app.types import Checkpoint, Runs, Task

GB = 10**9
LAPTOP, GPU = Device("cpu", "CPU", 16 * GB, 16 * GB), Device("cuda:0", "GPU", 8 * GB, 8 * GB)
BANDWIDTH = {"cpu": 12e9, "cuda:0": 400e9}


@pytest.fixture(autouse=True)
def hardware(monkeypatch: pytest.MonkeyPatch) -> None:
    """A laptop with slow memory, or a small GPU; both multiply bf16."""
    monkeypatch.setattr(offers, "bandwidth", BANDWIDTH.__getitem__)
    monkeypatch.setattr(memory, "best_precision", lambda device: "bf16")


def offered(capacity: int, device: Device, monkeypatch: pytest.MonkeyPatch) -> tuple[Offer, ...]:
    monkeypatch.setattr(memory, "_device", lambda: device.name.partition(":")[0])
    return offers.offers(catalog().values(), capacity, device)


def ids(found: tuple[Offer, ...]) -> list[str]:
    return [offer.checkpoint.id for offer in found]


@pytest.mark.parametrize("capacity", [2 * GB, 4 * GB, 12 * GB])
def test_a_slow_computer_gets_one_that_draws_and_one_that_chats(
    capacity: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = offered(capacity, LAPTOP, monkeypatch)
    assert ids(found) == ["florence-2-base", "smolvlm2-500m"]
    assert [(offer.draws, offer.chats) for offer in found] == [(True, False), (False, True)]


def test_a_small_gpu_gets_one_that_does_both(monkeypatch: pytest.MonkeyPatch) -> None:
    best, *_ = offered(8 * GB, GPU, monkeypatch)
    assert (best.checkpoint.id, best.precision) == ("qwen3-vl-4b", "nf4")
    assert best.draws and best.chats


def test_a_large_gpu_gets_larger_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = [offered(gb * GB, GPU, monkeypatch)[0].checkpoint.parameters for gb in (8, 24, 80)]
    assert sizes == sorted(sizes) and sizes[-1] >= 8 * GB


def test_a_computer_with_fast_memory_gets_one_that_does_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offers, "bandwidth", lambda device: 80e9)
    best, *_ = offered(16 * GB, LAPTOP, monkeypatch)
    assert best.draws and best.chats and best.tokens_per_second >= READABLE


@pytest.mark.parametrize("device", [LAPTOP, GPU])
@pytest.mark.parametrize("gb", [1, 6, 8, 16, 24, 80])
def test_everything_offered_fits_and_may_be_used_for_anything(
    gb: int, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = offered(gb * GB, device, monkeypatch)
    assert len(ids(found)) == len(set(ids(found))) <= MOST
    for offer in found:
        row = offer.checkpoint
        assert row.permissive and not row.gated and row.runs is Runs.IN_PROCESS and "/" in row.source
        assert memory.fit(row, gb * GB, offer.precision).fits
        assert offer.draws == bool(row.tasks & {Task.DETECT, Task.GROUND}) or offer.chats
        assert offer.download > 0 and offer.tokens_per_second > 0


def test_a_tiny_computer_is_offered_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert offered(100_000_000, LAPTOP, monkeypatch) == ()


def test_what_is_on_disk_needs_no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub, "on_disk", lambda: frozenset({catalog()["florence-2-base"].source}))
    drawing, chatting = offered(4 * GB, LAPTOP, monkeypatch)
    assert drawing.download == 0 and chatting.download == 1_000_000_000


@pytest.mark.parametrize(
    "changes",
    [{"permissive": None}, {"gated": "x"}, {"remote_code": True}, {"listed": False}, {"parameters": 0}],
)
def test_what_has_a_catch_is_not_offered(changes: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_device", lambda: "cpu")
    row = catalog()["florence-2-base"]
    assert offers.offers([row], 4 * GB, LAPTOP)
    caught: Checkpoint = replace(row, **changes)
    assert offers.offers([caught], 4 * GB, LAPTOP) == ()


def test_a_larger_model_is_slower_and_a_gpu_has_an_upper_end() -> None:
    row = catalog()["qwen3-vl-4b"]
    assert offers.speed(row, 8 * GB, "cpu") == pytest.approx(1.5)
    assert offers.speed(row, 2 * GB, "cpu") == pytest.approx(
        1.5
    )  # unpacking nf4 takes the time that it saves
    assert offers.speed(row, 16 * GB, "cuda:0") == pytest.approx(25.0)
    assert offers.speed(row, GB, "cuda:0") == 50.0


def test_the_memory_of_this_computer_is_measured_in_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 0.2e9 < offers.bandwidth("cpu") < 5000e9
