"""Settings that suit what somebody has: a few examples, a dataset, a projector to align, or preferences."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from vlm_app.finetune.run_config import RunConfig, Stage

_SEEN = 400  # examples that a run on a few of them sees in all, so that they are learned
_LOOKS = 10  # evaluations in a run, about
_LARGE = 10_000  # examples that need be seen only once
_REHEARSED = "pebble"  # the base that has a world of its own to rehearse; it is small, so all of it learns
_ALL = frozenset({"vision", "connector", "language"})


class Preset(StrEnum):
    """What somebody has, or wants."""

    FEW = "few"
    DATASET = "dataset"
    PROJECTOR = "projector"
    PREFERENCES = "preferences"


@dataclass(frozen=True, slots=True)
class Described:
    """A preset's name, and what it is for, in a few words."""

    title: str
    words: str


PRESETS: Mapping[Preset, Described] = {
    Preset.FEW: Described(
        "A few examples", "Up to 200: each is seen often, and what the base knows is rehearsed"
    ),
    Preset.DATASET: Described(
        "A dataset", "Hundreds or more: each is seen up to three times, the best moment is kept"
    ),
    Preset.PROJECTOR: Described("Projector only", "Alignment: only what joins vision to language learns"),
    Preset.PREFERENCES: Described(
        "Preferences", "Pairs of a right and a wrong answer: what to say instead (DPO)"
    ),
}


def preset(which: Preset, base: str, size: int) -> RunConfig:
    """The settings of a preset for a base (a model's id) and a dataset of so many examples.

    The name is the ordinary one: it is the person's to give.
    """
    return RunConfig(base=base, **_MADE[which](base, max(size, 1)))


def _few(base: str, size: int) -> dict[str, Any]:
    epochs = min(max(round(_SEEN / size), 3), 30)
    if base != _REHEARSED:
        return {"epochs": float(epochs), **_paced(size * epochs, 4)}
    # As logged in benchmarks/README.md, where 40 examples teach Pebble a shape that it had never seen.
    rehearsal = min(max(4 * size * epochs, 150), 2000)
    settings = {"towers": _ALL, "rate": 1e-3, "warmup": 0.1, "batch": 4, "epochs": float(epochs)}
    return settings | {"rehearsal": rehearsal, **_paced(size * epochs + rehearsal, 4)}


def _dataset(base: str, size: int) -> dict[str, Any]:
    epochs = 1.0 if size >= _LARGE else 3.0
    return {
        "epochs": epochs,
        "batch": 8,
        "held_out": 0.1 if size >= 1000 else 0.2,
        "patience": 3,
        **_paced(round(size * epochs), 8),
    }


def _projector(base: str, size: int) -> dict[str, Any]:
    """As LLaVA aligns its projector (arXiv:2304.08485): 1e-3 and one round, where there is enough to see."""
    epochs = 1.0 if size >= _LARGE else 3.0
    settings = {"stage": Stage.PROJECTOR, "rate": 1e-3, "epochs": epochs, "batch": 8, "held_out": 0.1}
    return settings | _paced(round(size * epochs), 8)


def _preferences(base: str, size: int) -> dict[str, Any]:
    """LoRA takes about ten times the 5e-7 to 5e-6 of a whole model (arXiv:2305.18290)."""
    settings: dict[str, Any] = {"stage": Stage.PREFERENCE, "rate": 5e-5, "epochs": 3.0, "batch": 2}
    if base == _REHEARSED:  # by benchmarks/taught.py as well
        settings |= {"towers": _ALL, "rate": 2.5e-4, "epochs": 2.0, "batch": 4}
    return settings | _paced(round(size * settings["epochs"]), settings["batch"])


def _paced(seen: int, batch: int) -> dict[str, Any]:
    """How often to evaluate and to save: about so many times in a run that sees so many examples."""
    every = min(max(math.ceil(seen / batch / _LOOKS), 5), 500)
    return {"evaluate_every": every, "save_every": every}


_MADE: Mapping[Preset, Callable[[str, int], dict[str, Any]]] = {
    Preset.FEW: _few,
    Preset.DATASET: _dataset,
    Preset.PROJECTOR: _projector,
    Preset.PREFERENCES: _preferences,
}
