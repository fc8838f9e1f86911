"""Where the modules of a model go that is larger than one device: device maps, by accelerate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlm_app.engine.anatomy import build, converted
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.devices import Device, devices
from vlm_app.engine.loading import one_build
from vlm_app.engine.memory import Estimate, estimate
from vlm_app.engine.quantizing import dtype_of
from vlm_app.engine.shapes import shapes
from vlm_app.settings import settings
from vlm_app.types import Checkpoint

Places = Mapping[str, str | int]
_DISK = 10**15  # bytes: accelerate wants a number
# Of an answer's working memory, on devices that hold only a part of the layers.
_PART = 0.5


def spread(checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan | None:
    """A plan over several GPUs, else over slower memory where the settings allow it; None where none fits.

    `capacity` is what can be had on the first device; of the others it is what is free now.
    """
    found, known = estimate(checkpoint, precision), shapes(checkpoint)
    if found is None or known is None or known.own:
        return None
    with one_build(watch):
        dtype = dtype_of(precision, devices()[0].name)
        model = build(known.folder, str(dtype).removeprefix("torch."))
    for room in _rooms(found, precision, capacity, devices()):
        places = device_map(model, precision, room)
        if places is not None:
            sizes = placed(model, precision, places)
            main = next(iter(room))
            name = f"cuda:{main}" if isinstance(main, int) else main
            return Plan(checkpoint, precision, sizes.get(main, 0), found.working, name, places)
    return None


def device_map(model: Any, precision: str, room: Mapping[int | str, int]) -> Places | None:
    """Modules by device, filling each up to its bytes of `room` in turn; None where they do not suffice.

    A block that transformers says must stay whole is never split. On what is not in
    `room` nothing is placed. `model` may be an empty one.
    """
    from accelerate import infer_auto_device_map

    # accelerate adds main memory and the disk by itself where they are left out.
    most: dict[int | str, int] = {"cpu": 0, "disk": 0, **room}
    places: dict[str, str | int] = infer_auto_device_map(
        model,
        max_memory=most,
        no_split_module_classes=list(model._no_split_modules or ()),
        special_dtypes=_quantized(model, precision),
    )
    return places if set(places.values()) <= set(room) else None


def placed(model: Any, precision: str, places: Places) -> dict[str | int, int]:
    """The bytes that a device map puts on each device."""
    from accelerate.utils import compute_module_sizes

    sizes = compute_module_sizes(model, special_dtypes=_quantized(model, precision))
    sizes = sizes[0] if isinstance(sizes, tuple) else sizes
    total: dict[str | int, int] = {}
    for name, device in places.items():
        total[device] = total.get(device, 0) + int(sizes[name])
    return total


def _rooms(
    found: Estimate, precision: str, capacity: int, all: Sequence[Device]
) -> list[dict[int | str, int]]:
    """The ways to try, the fastest first: bytes for weights on each device.

    What bitsandbytes quantized stays on GPUs: it has no weights on a disk.
    """
    offload, main = settings().offload, all[0]
    gpus = [device for device in all if device.name != "cpu" and not device.problem]
    host = next(device for device in all if device.name == "cpu")
    part = round(found.working * _PART)
    room: dict[int | str, int] = {
        int(device.name.partition(":")[2]): max(0, (capacity if device is main else device.free) - part)
        for device in gpus
    }
    if gpus:  # the first one holds inputs, the cache's share and what the towers hand on
        room[next(iter(room))] = max(0, capacity - found.working)
    ways = [room] if len(gpus) > 1 else []
    if offload == "never" or precision in ("int8", "nf4"):
        return ways
    below: dict[int | str, int] = {
        **room,
        "cpu": host.free - part if gpus else max(0, capacity - found.working),
    }
    if gpus:
        ways.append(below)
    if offload == "disk":
        ways.append({**below, "disk": _DISK})
    return ways


def _quantized(model: Any, precision: str) -> dict[str, Any]:
    """The types of the matrices that bitsandbytes makes smaller, for accelerate's sizes."""
    import torch
    from accelerate.utils import CustomDtype

    small = {"int8": torch.int8, "nf4": CustomDtype.INT4}.get(precision)
    if small is None:
        return {}
    return {f"{name}.weight": small for name, _ in converted(model)}
