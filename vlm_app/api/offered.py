"""Whom a person may ask: what is loaded already, what the place is for, or whatever they may load."""

from __future__ import annotations

from typing import Protocol

from vlm_app.catalog import find
from vlm_app.catalog.rows import BUILT_IN  # it comes with the app, as engines of packages do
from vlm_app.engine.states import ModelState
from vlm_app.people import Act, Person, check, may
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Runs

AUTOMATIC = ("", "auto")
HERE = ("waiting", "loading", "ready")


class Models(Protocol):
    """What is asked of an engine."""

    def models(self) -> tuple[ModelState, ...]: ...


def allowed(person: Person, engine: Models, model: str, precision: str = "auto") -> str:
    """The precision in which a person may ask a model: what they chose, or that in which it is loaded.

    Raises `NotAllowed` where asking would do what they may not: load the model, or have a server answer.
    An unknown id raises `ModelUnavailable`.
    """
    row = find(model)
    if may(person, Act.LOAD) or is_offered(row, precision):
        return precision
    if row.server:
        check(person, Act.REMOTE)
        return precision
    loaded = _loaded(engine, row)
    if not loaded or (precision not in AUTOMATIC and precision not in loaded):
        check(person, Act.LOAD)
    return precision if precision in loaded else loaded[0] or precision


def is_offered(row: Checkpoint, precision: str = "auto") -> bool:
    """Whether everybody may ask a model, be it loaded or not: the place is for it, in the precision
    that suits this machine, or it came with the app."""
    automatic = precision in AUTOMATIC
    return row.runs is Runs.PACKAGE or (automatic and row.id in (*settings().offered, BUILT_IN))


def askable(person: Person, engine: Models, row: Checkpoint) -> bool:
    """Whether a model is shown to a person as one to choose."""
    if may(person, Act.LOAD) or is_offered(row):
        return True
    return may(person, Act.REMOTE) if row.server else bool(_loaded(engine, row))


def _loaded(engine: Models, row: Checkpoint) -> list[str]:
    """The precisions in which a model is in memory or on its way there; '' where that is not planned yet."""
    return [state.precision for state in engine.models() if state.model == row.id and state.status in HERE]
