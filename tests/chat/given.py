"""What tests of the chat and the workbench begin with: an engine without a model, and a few rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.chat.fake_engine import FakeEngine
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint, Task

Rows = Mapping[str, tuple[str, int | None, frozenset[Task]]]  # by id: family, images at most, tasks


def finder(rows: Rows) -> Callable[[str], Checkpoint]:
    """A catalog of these few."""

    def find(id: str) -> Checkpoint:
        if id not in rows:
            raise ModelUnavailable(f"There is no model '{id}'.")
        family, most, tasks = rows[id]
        return Checkpoint(id, id.capitalize(), family, "", tasks, max_images=most)

    return find


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()
