"""A store of the test's own, an engine without a model, and two owners' pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chat.fake_engine import FakeEngine
from vlm_app.chat import Chats
from vlm_app.errors import ModelUnavailable
from vlm_app.store import Store
from vlm_app.types import Checkpoint, Task

ROWS = {
    "pebble": ("pebble", None, frozenset(Task)),
    "one-image": ("pebble", 1, frozenset(Task)),
    "two-images": ("pebble", 2, frozenset(Task)),
    "last-only": ("florence2", 1, frozenset(Task)),
    "talker": ("smolvlm", None, frozenset({Task.CHAT})),
}


def find(id: str) -> Checkpoint:
    """A catalog of five."""
    if id not in ROWS:
        raise ModelUnavailable(f"There is no model '{id}'.")
    family, most, tasks = ROWS[id]
    return Checkpoint(id, id.capitalize(), family, "", tasks, max_images=most)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "kept")
    yield store
    store.close()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def chats(store: Store, engine: FakeEngine) -> Chats:
    return Chats(store, engine, find)
