"""Engines that come with a Python package: how much memory they take, how they are loaded and unloaded.

There is one, RapidOCR. It runs on the CPU, whatever other models run on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlm_app import families
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.devices import Device, devices
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import AppError, ModelUnavailable
from vlm_app.types import Checkpoint

if TYPE_CHECKING:
    from vlm_app.engine.memory import Estimate, Fit

PRECISION = "fp32"  # of the networks in the package; there is no other
# Bytes, measured by benchmarks.ocr and rounded up: the loaded networks with their libraries (and
# an empty page), and what is added while a picture of 24 megapixels is read.
LOADED = 160_000_000
READING = 700_000_000


def estimate() -> Estimate:
    """What the engine takes, as it was measured."""
    from vlm_app.engine.memory import Estimate

    return Estimate(weights=LOADED, cache=0, images=READING, reserve=0, exact=True)


def fit(precision: str, free: int) -> Fit | None:
    """The estimate against the main memory; None for a precision that the networks are not in.

    `free` bytes are what models could have on the first device; where that is a GPU, what
    is free beside it counts.
    """
    from vlm_app.engine.memory import Fit

    if precision not in ("auto", PRECISION):
        return None
    first, *others = devices()
    return Fit(PRECISION, estimate(), free if first.name == "cpu" else _host(others).free)


def plan(checkpoint: Checkpoint, capacity: int, watch: Watch) -> Plan:
    """How to load it; see `Backend.plan`. Any precision that was asked for is the networks' own.

    Beside a GPU it takes nothing of the budget, which is the GPU's.
    """
    watch.report("planning")
    first, *others = devices()
    beside = first.name != "cpu"
    host = _host(others) if beside else first
    free = host.free if beside else capacity
    needed = estimate()
    if needed.total > free:
        raise ModelUnavailable(
            f"{checkpoint.name} needs {needed.total / 1e6:.0f} MB of memory and {max(free, 0) / 1e6:.0f} MB "
            f"can be had on {host.title}: close other programs, or ask a model on a server."
        )
    if beside:
        return Plan(checkpoint, PRECISION, 0, 0, "cpu", {"": "cpu"})
    return Plan(checkpoint, PRECISION, needed.weights, needed.working, "cpu")


def load(plan: Plan, watch: Watch) -> LoadedModel:
    """Load the networks of the package; nothing is downloaded. Raises `ModelUnavailable`."""
    from vlm_app.ocr.reader import Reader

    watch.report("loading")
    checkpoint = plan.checkpoint
    try:
        reader = Reader()
    except AppError:
        raise
    except (ImportError, OSError, RuntimeError, MemoryError) as error:
        raise ModelUnavailable(
            f"{checkpoint.name} could not be loaded ({type(error).__name__}): install its package again, or "
            "choose another model."
        ) from error
    watch.report("loading", 1, 1)
    return LoadedModel(
        checkpoint=checkpoint,
        family=families.get(checkpoint.family),
        processor=None,
        model=reader,
        device=plan.device,
        precision=PRECISION,
        bytes=LOADED,
        context=0,
    )


def _host(others: list[Device]) -> Device:
    return next(device for device in others if device.name == "cpu")
