"""What the machine has: driver, devices, memory, disk."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from vlm_app.doctor.finding import Finding, Level
from vlm_app.settings import settings

_SYSTEM = Path("/")
_VERSION = re.compile(r"(?:Kernel Module|x86_64|aarch64)\s+(?:for \S+\s+)?(\d+\.\d+(?:\.\d+)?)")
_GB = 10**9
LEAST_MEMORY, MUCH_MEMORY = 1.5 * _GB, 6 * _GB  # free, for the app with Pebble; for a small real model
LEAST_DISK, MUCH_DISK = 0.5 * _GB, 20 * _GB  # free, for chats and pictures; for a few models
BUSY_SHARE = 0.5  # of a GPU's memory that others have taken, from which on it is said


def driver(root: Path = _SYSTEM) -> Finding:
    """NVIDIA's driver, as the system below `root` tells of it."""
    file = root / "proc/driver/nvidia/version"
    if file.is_file():
        said = _VERSION.search(file.read_text(encoding="utf-8", errors="replace"))
        return Finding("driver", Level.OK, f"NVIDIA's driver {said[1] if said else 'is loaded'}")
    if (root / "dev/kfd").exists():
        return Finding("driver", Level.OK, "AMD's driver is loaded")
    return Finding("driver", Level.OK, "no GPU's driver; models then run on the processor")


def devices() -> Iterator[Finding]:
    """Each processor that models could run on; what cannot be used carries its reason."""
    from vlm_app import engine
    from vlm_app.engine.memory import size

    for device in engine.engine().devices():
        if device.problem:
            yield Finding("device", Level.PROBLEM, f"{device.title} is of no use", _advice(device.problem))
        elif device.name == "cpu":
            yield Finding("device", Level.OK, f"{device.title}, {_cores()} cores (cpu)")
        else:
            found = f"{device.title} ({device.name}), {size(device.free)} of {size(device.total)} free"
            if device.free < BUSY_SHARE * device.total:
                yield Finding("device", Level.NOTE, found, "See in nvidia-smi which program has the rest.")
            else:
                yield Finding("device", Level.OK, found)


def _advice(problem: str) -> str:
    """The sentence without the device's name, which the line has said."""
    _, colon, reason = problem.partition(" cannot be used: ")
    return f"{reason[:1].upper()}{reason[1:]}" if colon else problem


def _cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> Finding:
    """Main memory, within the container's limit, and the limit that is set for models."""
    from vlm_app.engine.devices import host_free, host_total
    from vlm_app.engine.memory import size

    free, total, limit = host_free(), host_total(), settings().memory
    found = f"{size(free)} of {size(total)} free" + (f", {size(limit)} for models" if limit else "")
    if free < LEAST_MEMORY:
        least = size(int(LEAST_MEMORY))
        return Finding("memory", Level.PROBLEM, found, f"End other programs: the app needs {least}.")
    if limit and limit > total:
        advice = "VLM_APP_MEMORY is more than there is: lower or unset it."
        return Finding("memory", Level.NOTE, found, advice)
    if free < MUCH_MEMORY:
        advice = "Without a GPU only small models fit: 'vlm-app models --max-memory 4GB' lists them."
        return Finding("memory", Level.NOTE, found, advice)
    return Finding("memory", Level.OK, found)


def disk() -> Finding:
    """The folder of everything that is written: whether it can be, how much, and for how long."""
    from vlm_app.engine.memory import size

    folder = settings().data
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path("/"))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        advice = "Name another folder in VLM_APP_DATA, or give this user the right to write there."
        return Finding("disk", Level.PROBLEM, f"{folder} cannot be written", advice)
    free = shutil.disk_usage(there).free
    found = f"{folder}, {size(free)} free"
    if free < LEAST_DISK:
        return Finding("disk", Level.PROBLEM, found, _ROOM)
    if not settings().lasting:
        advice = (
            "It ends with this container: mount a volume there, or name a mounted folder in VLM_APP_DATA."
        )
        return Finding("disk", Level.NOTE, found, advice)
    if free < MUCH_DISK:
        return Finding("disk", Level.NOTE, found, f"Models take 0.5 to 20 GB each. {_ROOM}")
    return Finding("disk", Level.OK, found)


_ROOM = "Make room, or name a folder on a larger disk in VLM_APP_DATA."
