"""Roles and limits for a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from vlm_app import limits
from vlm_app.limits import known
from vlm_app.people import Person, Role
from vlm_app.settings import settings


@pytest.fixture
def visits() -> Iterator[Callable[[str, Role], None]]:
    """Says which role an owner has, as a request of theirs does."""
    yield lambda owner, role: limits.know(Person(owner, "", role))
    known._roles.clear()


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets settings by their names."""

    def set(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"VLM_APP_{name.upper()}", str(value))
        settings.cache_clear()

    return set
