"""The devices of this computer, with what is free on them now."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_SYSTEM = Path("/")
_NVIDIA, _DISPLAY = "0x10de", "0x03"  # of PCI: the vendor, and the class of everything that draws


@dataclass(frozen=True, slots=True)
class Device:
    """A processor that models could run on. Sizes are in bytes.

    `name` is what torch calls it ('cuda:0', 'cpu'). One with a `problem`, a sentence, is
    there but cannot be used.
    """

    name: str
    title: str
    total: int
    free: int
    problem: str = ""


def devices(root: Path = _SYSTEM) -> tuple[Device, ...]:
    """All of them, as they are now: the one that models are loaded on first, those of no use last.

    What the system says of itself stands in files below `root`.
    """
    found = _cuda()
    usable = tuple(device for device in found if not device.problem)
    useless = tuple(device for device in found if device.problem) or (
        () if usable else tuple(_idle_gpus(root))
    )
    return (*usable, _host(root), *useless)


def host_free(root: Path = _SYSTEM) -> int:
    """Bytes of main memory that can still be had, within the container's limit where there is one."""
    import psutil

    free = int(psutil.virtual_memory().available)
    return min([free, *(max(0, limit - used) for limit, used in _limits(root))])


def host_total(root: Path = _SYSTEM) -> int:
    """Bytes of main memory, or the container's limit where that is less."""
    import psutil

    return min([int(psutil.virtual_memory().total), *(limit for limit, _ in _limits(root))])


# --- main memory --------------------------------------------------------------------------


def _host(root: Path) -> Device:
    title = _processor(root) or platform.machine() or "CPU"
    return Device("cpu", title, host_total(root), host_free(root))


@cache
def _processor(root: Path) -> str:
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "")


def cores_allowed(root: Path = Path("/")) -> float:
    """Cores for which the control groups of this process give it time, as a container's `--cpus` does;
    infinity without such a limit."""
    quotas = [_quota(group, old) for group, old in _groups(root, "cpu")]
    return min((each for each in quotas if each), default=math.inf)


def _quota(group: Path, old: bool) -> float:
    """Cores; 0 for no limit."""
    if old:
        quota, period = _number(group / "cpu.cfs_quota_us"), _number(group / "cpu.cfs_period_us")
    else:
        try:
            first, _, second = (group / "cpu.max").read_text(encoding="ascii").partition(" ")
            quota, period = int(first), int(second)
        except (OSError, ValueError):  # 'max 100000' without a limit
            return 0.0
    return quota / period if quota and period and quota > 0 else 0.0


def _limits(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, used) in bytes of every control group that this process is in and that has a limit.

    What the page cache holds and nobody uses can be had back, so it is not counted as used.
    """
    for group, old in _groups(root, "memory"):
        limit = _number(group / ("memory.limit_in_bytes" if old else "memory.max"))
        used = _number(group / ("memory.usage_in_bytes" if old else "memory.current"))
        if limit is not None and used is not None and limit < 2**60:  # v1 writes 2^63 for none
            idle = _stat(group / "memory.stat", "total_inactive_file" if old else "inactive_file")
            yield limit, max(0, used - idle)


def _groups(root: Path, controller: str) -> Iterator[tuple[Path, bool]]:
    """The folders of the control groups that this process is in, the nearest first, and whether they are
    of version 1.

    Inside a container its group is mounted as the root; outside, the group and all those above it count.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        old = controller in controllers.split(",")
        if old or (number == "0" and not controllers):
            top = root / "sys/fs/cgroup" / (controller if old else "")
            parts = [part for part in path.split("/") if part not in ("", "..")]
            yield from ((top.joinpath(*parts[:depth]), old) for depth in range(len(parts), -1, -1))


def _number(path: Path) -> int | None:
    """The number in a file; None where it is missing or says 'max'."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _stat(path: Path, name: str) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name} ")), 0)


# --- GPUs ---------------------------------------------------------------------------------


class _Leading:
    """The GPU that was the first one last time."""

    name = ""


_leading = _Leading()


def _cuda() -> list[Device]:
    """The GPUs that torch sees, those with the most free memory first.

    But the first one stays so while anything of ours lies on it: the budget of all models
    is what can be had there, and a count over two GPUs would be of neither.
    """
    import torch

    if not torch.cuda.is_available():
        return []
    found = [_gpu(number) for number in range(torch.cuda.device_count())]
    found.sort(key=lambda device: (not _leads(device), -device.free))
    _leading.name = found[0].name if found else ""
    return found


def _leads(device: Device) -> bool:
    import torch

    number = int(device.name.partition(":")[2])
    return not device.problem and device.name == _leading.name and torch.cuda.memory_allocated(number) > 0


def _gpu(number: int) -> Device:
    import torch

    title = torch.cuda.get_device_name(number)
    if problem := _too_old(number, title):
        return Device(f"cuda:{number}", title, 0, 0, problem)
    try:
        free, total = torch.cuda.mem_get_info(number)
    except RuntimeError as error:  # another program holds it, or it has fallen off the bus
        said = str(error).partition("\n")[0].rstrip(".")
        problem = f"{title} does not answer ({said}): see what nvidia-smi says of it, then start again."
        return Device(f"cuda:{number}", title, 0, 0, problem)
    # What torch keeps of unloaded models can be had as well.
    kept = torch.cuda.memory_reserved(number) - torch.cuda.memory_allocated(number)
    return Device(f"cuda:{number}", title, total, free + kept)


def _too_old(number: int, title: str) -> str:
    """Why this build of torch has no code for the GPU; '' where it has.

    'sm_86' runs on the same major capability from that minor on, 'compute_90' is compiled
    for anything from there on.
    """
    import torch

    major, minor = torch.cuda.get_device_capability(number)
    built = torch.cuda.get_arch_list()
    for arch in built:
        kind, _, digits = arch.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdecimal():
            continue
        first, second = int(digits[:-1]), int(digits[-1])
        if (kind == "sm" and first == major and second <= minor) or (
            kind == "compute" and (first, second) <= (major, minor)
        ):
            return ""
    if not built:
        return ""  # ROCm's build names them otherwise
    return (
        f"{title} cannot be used: its compute capability is {major}.{minor}, and this build of torch "
        f"{torch.__version__} has code for {', '.join(built)}; install a build of torch that has it."
    )


def _idle_gpus(root: Path) -> Iterator[Device]:
    """NVIDIA's GPUs that are in the computer while torch can use none, each with the reason."""
    titles = _driver_titles(root)
    seen = len(titles) or _displays(root)
    if not seen:
        return
    problem = _why_not(bool(titles) or (root / "proc/driver/nvidia/version").exists())
    for number in range(seen):
        title = titles[number] if titles else "NVIDIA GPU"
        yield Device(f"cuda:{number}", title, 0, 0, f"{title} cannot be used: {problem}")


def _driver_titles(root: Path) -> list[str]:
    """The GPUs' names, as NVIDIA's driver lists them."""
    titles = []
    for path in sorted((root / "proc/driver/nvidia/gpus").glob("*/information")):
        text = path.read_text(encoding="utf-8", errors="replace")
        named = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Model:"))
        titles.append(next(named, "") or "NVIDIA GPU")
    return titles


def _displays(root: Path) -> int:
    """How many of NVIDIA's GPUs the bus holds, whether they have a driver or not."""
    count = 0
    for vendor in (root / "sys/bus/pci/devices").glob("*/vendor"):
        kind = vendor.with_name("class")
        if vendor.read_text().strip() == _NVIDIA and kind.read_text().startswith(_DISPLAY):
            count += 1
    return count


def _why_not(driver: bool) -> str:
    import torch

    if not torch.backends.cuda.is_built():
        return (
            f"this torch ({torch.__version__}) was built without CUDA; install the build of "
            "requirements.txt from the package index."
        )
    if not driver:
        return "NVIDIA's driver is not installed or not loaded; install it and start again."
    said = _initial_error()
    return f"torch {torch.__version__} expects a driver for CUDA {torch.version.cuda}, and CUDA says: {said}"


@cache
def _initial_error() -> str:
    """What CUDA says when it is started, as the end of a sentence; its own words name the driver."""
    import torch

    try:
        torch.cuda.init()
    except (RuntimeError, AssertionError) as error:
        first = str(error).partition(". ")[0].partition("\n")[0].rstrip(".")
        return f"'{first}'; update the driver, or unset CUDA_VISIBLE_DEVICES where it hides the GPU."
    return "nothing; start again, and look at nvidia-smi."
