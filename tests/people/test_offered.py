"""Whom a visitor may ask without loading anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from vlm_app.api import offered
from vlm_app.api.offered import allowed, askable
from vlm_app.catalog import catalog, find
from vlm_app.engine.states import ModelState
from vlm_app.errors import ModelUnavailable, NotAllowed
from vlm_app.people import Person, Role
from vlm_app.settings import settings

VISITOR, MEMBER, ADMIN = (Person("somebody", "", role) for role in Role)
OTHER, OFFERED = "qwen3-vl-4b", "smolvlm2-500m"


@dataclass
class Held:
    """An engine that holds models in precisions."""

    states: tuple[ModelState, ...] = ()

    def models(self) -> tuple[ModelState, ...]:
        return self.states


def held(status: Any, precision: str, model: str = OTHER) -> Held:
    return Held((ModelState(status, "", precision=precision, model=model),))


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VLM_APP_MODEL", f"florence-2-base,{OFFERED}")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.parametrize("model", [OFFERED, "florence-2-base", "pebble", "rapidocr"])
def test_what_the_place_is_for_and_what_came_with_the_app_may_be_asked(model: str) -> None:
    assert allowed(VISITOR, Held(), model) == "auto"
    assert askable(VISITOR, Held(), find(model))


def test_what_is_not_loaded_is_for_admins() -> None:
    for person in (VISITOR, MEMBER):
        with pytest.raises(NotAllowed, match="Loading another model is for admins"):
            allowed(person, Held(), OTHER)
    assert allowed(ADMIN, Held(), OTHER, "nf4") == "nf4"
    assert not askable(VISITOR, Held(), find(OTHER)) and askable(ADMIN, Held(), find(OTHER))


@pytest.mark.parametrize("status", ["ready", "loading", "waiting"])
def test_what_is_loaded_is_asked_in_the_precision_that_it_has(status: Any) -> None:
    engine = held(status, "nf4")
    assert allowed(VISITOR, engine, OTHER) == allowed(VISITOR, engine, OTHER, "nf4") == "nf4"
    assert askable(VISITOR, engine, find(OTHER))
    with pytest.raises(NotAllowed):
        allowed(VISITOR, engine, OTHER, "bf16")  # a second copy
    assert allowed(VISITOR, held("waiting", ""), OTHER) == "auto"


@pytest.mark.parametrize("status", ["failed", "unloading", "unloaded"])
def test_what_failed_or_leaves_is_not_loaded_again_for_a_visitor(status: Any) -> None:
    with pytest.raises(NotAllowed):
        allowed(VISITOR, held(status, "nf4"), OTHER)


def test_another_precision_of_what_is_offered_is_for_admins() -> None:
    with pytest.raises(NotAllowed):
        allowed(VISITOR, Held(), OFFERED, "fp32")


def test_a_model_on_a_server_is_for_members_unless_it_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    row = replace(next(iter(catalog().values())), id="gpu/big", server="gpu")
    monkeypatch.setattr(offered, "find", lambda model: row)
    with pytest.raises(NotAllowed, match="on a server is for members and admins"):
        allowed(VISITOR, Held(), row.id)
    assert allowed(MEMBER, Held(), row.id) == "auto"
    assert askable(MEMBER, Held(), row) and not askable(VISITOR, Held(), row)
    monkeypatch.setenv("VLM_APP_MODEL", row.id)
    settings.cache_clear()
    assert allowed(VISITOR, Held(), row.id) == "auto"


def test_what_nobody_knows_is_told_as_ever() -> None:
    with pytest.raises(ModelUnavailable):
        allowed(VISITOR, Held(), "nobody/nothing")
