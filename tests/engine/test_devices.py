"""The devices that a user sees: what is free on them now, and why one cannot be used."""

from __future__ import annotations

import math
from pathlib import Path

import psutil
import pytest
import torch

from vlm_app.engine import devices as module
from vlm_app.engine.devices import cores_allowed, devices, host_free

GB = 10**9


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two GPUs as torch shows them: the second has more free memory."""
    free = {0: (5 * GB, 8 * GB), 1: (20 * GB, 24 * GB)}
    for name, value in {
        "is_available": lambda: True,
        "device_count": lambda: 2,
        "get_device_name": lambda number: f"GPU {number}",
        "get_device_capability": lambda number: (8, 6),
        "get_arch_list": lambda: ["sm_80", "sm_90"],
        "mem_get_info": free.__getitem__,
        "memory_reserved": lambda number: 0,
        "memory_allocated": lambda number: 0,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(module._leading, "name", "")


def test_a_computer_without_gpus_has_its_main_memory(tmp_path: Path) -> None:
    (cpu,) = devices(tmp_path)
    assert cpu.name == "cpu" and not cpu.problem
    assert 0 < cpu.free <= cpu.total == psutil.virtual_memory().total


def test_a_container_has_what_its_limit_leaves_and_the_page_cache_counts_as_free(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/\n")
    put(tmp_path, "sys/fs/cgroup/memory.max", f"{2 * GB}\n")
    put(tmp_path, "sys/fs/cgroup/memory.current", f"{GB}\n")
    put(tmp_path, "sys/fs/cgroup/memory.stat", "anon 5\ninactive_file 400000000\n")
    (cpu,) = devices(tmp_path)
    assert (cpu.total, cpu.free) == (2 * GB, 1_400_000_000)


def test_the_limit_of_a_group_above_counts_too(tmp_path: Path) -> None:
    put(tmp_path, "proc/self/cgroup", "0::/user/app\n")
    put(tmp_path, "sys/fs/cgroup/user/app/memory.max", "max\n")
    put(tmp_path, "sys/fs/cgroup/user/app/memory.current", "7\n")
    put(tmp_path, "sys/fs/cgroup/user/memory.max", f"{GB}\n")
    put(tmp_path, "sys/fs/cgroup/user/memory.current", f"{GB // 2}\n")
    assert host_free(tmp_path) == GB // 2


@pytest.mark.parametrize(("limit", "free"), [(str(GB), GB - 100), (str(2**63 - 4096), None)])
def test_older_control_groups_limit_as_well(tmp_path: Path, limit: str, free: int | None) -> None:
    put(tmp_path, "proc/self/cgroup", "4:cpu:/\n3:memory:/job\n")
    put(tmp_path, "sys/fs/cgroup/memory/job/memory.limit_in_bytes", limit)
    put(tmp_path, "sys/fs/cgroup/memory/job/memory.usage_in_bytes", "100")
    if free is None:
        assert host_free(tmp_path) > GB // 10
    else:
        assert host_free(tmp_path) == free


OLD = "sys/fs/cgroup/cpu/job/"


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"sys/fs/cgroup/cpu.max": "max 100000"}, math.inf),
        ({"sys/fs/cgroup/cpu.max": "200000 100000"}, 2.0),
        ({"sys/fs/cgroup/app/cpu.max": "400000 100000", "sys/fs/cgroup/cpu.max": "150000 100000"}, 1.5),
        ({OLD + "cpu.cfs_quota_us": "50000", OLD + "cpu.cfs_period_us": "100000"}, 0.5),
        ({OLD + "cpu.cfs_quota_us": "-1", OLD + "cpu.cfs_period_us": "100000"}, math.inf),
        ({}, math.inf),
    ],
)  # fmt: skip
def test_a_container_has_the_cores_that_its_groups_allow(
    tmp_path: Path, files: dict[str, str], cores: float
) -> None:
    put(tmp_path, "proc/self/cgroup", "4:cpu,cpuacct:/job\n0::/app\n")
    for name, text in files.items():
        put(tmp_path, name, text)
    assert cores_allowed(tmp_path) == cores


def test_the_gpu_with_the_most_free_memory_comes_first(gpu: None, tmp_path: Path) -> None:
    assert [(device.name, device.free) for device in devices(tmp_path)[:2]] == [
        ("cuda:1", 20 * GB),
        ("cuda:0", 5 * GB),
    ]
    assert devices(tmp_path)[-1].name == "cpu"


def test_the_gpu_that_holds_models_stays_the_first(
    gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert devices(tmp_path)[0].name == "cuda:1"
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda number: 18 * GB * number)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda number: 18 * GB * number)
    monkeypatch.setattr(torch.cuda, "mem_get_info", {0: (5 * GB, 8 * GB), 1: (2 * GB, 24 * GB)}.__getitem__)
    assert (devices(tmp_path)[0].name, devices(tmp_path)[0].free) == ("cuda:1", 2 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda number: 0)
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda number: 0)
    assert devices(tmp_path)[0].name == "cuda:0"


def test_what_torch_keeps_of_unloaded_models_is_free(
    gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda number: 3 * GB)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda number: GB)
    assert devices(tmp_path)[0].free == 22 * GB


def test_a_gpu_that_torch_has_no_code_for_is_named_with_the_reason(
    gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (6, 1) if number else (9, 0))
    first, cpu, old = devices(tmp_path)
    assert (first.name, cpu.name, old.name) == ("cuda:0", "cpu", "cuda:1")
    assert old.problem.startswith("GPU 1 cannot be used: its compute capability is 6.1")
    assert "sm_80, sm_90" in old.problem and old.free == 0


def test_code_that_is_compiled_for_later_gpus_runs_on_them(
    gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: (12, 0))
    assert all(device.problem for device in devices(tmp_path) if device.name != "cpu")
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_90a", "compute_90"])
    assert not any(device.problem for device in devices(tmp_path))


def test_a_gpu_that_does_not_answer_is_named(
    gpu: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(number: int) -> tuple[int, int]:
        raise RuntimeError("CUDA error: GPU is lost\nmore")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    cpu, first, _ = devices(tmp_path)
    assert cpu.name == "cpu" and "GPU 0 does not answer (CUDA error: GPU is lost)" in first.problem


def card(root: Path) -> Path:
    """A computer with one graphics card of NVIDIA and its sound device, which is none."""
    put(root, "sys/bus/pci/devices/0000:01:00.0/vendor", "0x10de\n")
    put(root, "sys/bus/pci/devices/0000:01:00.0/class", "0x030000\n")
    put(root, "sys/bus/pci/devices/0000:01:00.1/vendor", "0x10de\n")
    put(root, "sys/bus/pci/devices/0000:01:00.1/class", "0x040300\n")
    return root


def test_a_gpu_without_its_driver_is_never_silently_a_cpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    cpu, useless = devices(card(tmp_path))
    assert cpu.name == "cpu"
    assert useless.problem.startswith("NVIDIA GPU cannot be used: NVIDIA's driver is not installed or not")


def test_a_torch_without_cuda_is_named_as_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    put(tmp_path, "proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t RTX 3060\nIRQ: 1\n")
    _, useless = devices(tmp_path)
    assert useless.title == "RTX 3060" and "was built without CUDA" in useless.problem


def test_a_driver_that_is_too_old_says_so_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init() -> None:
        raise RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "init", init)
    module._initial_error.cache_clear()
    put(card(tmp_path), "proc/driver/nvidia/version", "NVRM version: 470.82")
    _, useless = devices(tmp_path)
    module._initial_error.cache_clear()
    assert "'The NVIDIA driver on your system is too old (found version 11040)'" in useless.problem
    assert "update the driver" in useless.problem
