"""How much memory a model takes and whether this computer has it, as the terminal shows it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from vlm_app.cli.facts import how, size
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint

if TYPE_CHECKING:
    from vlm_app.engine.memory import Estimate


def fitted(row: Checkpoint) -> list[str]:
    """An estimate for each precision, and the verdict, a line each. Asks the Hub where files are not here."""
    if not row.runs.here:
        return [f"Not loaded here: {how(row)}."]
    from vlm_app.engine import memory
    from vlm_app.engine.devices import devices

    note = _ask(row)
    device, *others = devices()
    verdict = memory.fit(row, device.free)
    if verdict is None:
        return [f"Nothing is known of its size{note}."]
    lines = [f"{name:6} {_estimate(found)}" for name, found in _estimates(row).items()]
    lines += [
        f"{name:6} not here: {why}" for name in ("int8", "nf4") if (why := memory.unquantizable(row, name))
    ]
    if not verdict.estimate.exact:
        lines.append(f"Rough: from the number of its parameters{note}.")
    lines.append(f"On this computer ({device.title}): {verdict.words}.")
    return lines + [other.problem for other in others if other.problem]


def as_dict(row: Checkpoint) -> dict[str, Any]:
    """The same for JSON, in bytes: `estimates` by precision, and `fit`."""
    if not row.runs.here:
        return {"estimates": {}, "fit": None}
    from vlm_app.engine import memory
    from vlm_app.engine.devices import devices

    _ask(row)
    verdict = memory.fit(row, devices()[0].free)
    return {
        "estimates": {
            name: asdict(found) | {"total": found.total} for name, found in _estimates(row).items()
        },
        "fit": {"fits": verdict.fits, "words": verdict.words, "free": verdict.free} if verdict else None,
    }


def _estimates(row: Checkpoint) -> dict[str, Estimate]:
    from vlm_app.engine import memory

    found = {name: memory.estimate(row, name) for name in memory.choices(row)}
    return {name: estimate for name, estimate in found.items() if estimate}


def _estimate(found: Estimate) -> str:
    parts = {
        "weights": found.weights,
        "cache": found.cache,
        "an image": found.images,
        "reserve": found.reserve,
    }
    about = "" if found.exact else "about "
    return f"{about}{size(found.total)}: " + ", ".join(f"{name} {size(part)}" for name, part in parts.items())


def _ask(row: Checkpoint) -> str:
    """Have the headers of its files, if possible; why not, as a clause."""
    from vlm_app.engine import memory

    try:
        memory.estimate(row, "auto", ask_hub=True)
    except ModelUnavailable:
        return ", as the Hub could not be asked for its files' headers"
    return ""
