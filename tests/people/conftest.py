"""Who signs in, in an app of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.people.app import PASSWORD, App
from vlm_app.people import Role
from vlm_app.settings import settings
from vlm_app.store import persons


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Passwords are hashed in a millisecond."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(persons, "_COST", 2**8)
        yield


@pytest.fixture(scope="module")
def everybody(quick: None, tmp_path_factory: pytest.TempPathFactory) -> App:
    """An app that anna, an admin, and ben, a member, sign in to."""
    app = App(tmp_path_factory.mktemp("everybody"))
    app.persons.add("anna", Role.ADMIN, PASSWORD)
    app.persons.add("ben", Role.MEMBER, "another horse")
    return app


@pytest.fixture
def set_to(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Changes settings for one test."""

    def changed(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{name.upper()}", value)
        settings.cache_clear()

    yield changed
    monkeypatch.undo()
    settings.cache_clear()
