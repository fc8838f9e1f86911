"""An engine without a model, and two owners' pictures."""

from __future__ import annotations

import pytest

from tests.chat.fake_engine import FakeEngine
from tests.chat.given import engine, finder
from vlm_app.chat import Chats
from vlm_app.store import Store
from vlm_app.types import Task

__all__ = ["engine", "find"]
ROWS = {
    "pebble": ("pebble", None, frozenset(Task)),
    "one-image": ("pebble", 1, frozenset(Task)),
    "two-images": ("pebble", 2, frozenset(Task)),
    "last-only": ("florence2", 1, frozenset(Task)),
    "talker": ("smolvlm", None, frozenset({Task.CHAT})),
}
find = finder(ROWS)


@pytest.fixture
def chats(store: Store, engine: FakeEngine) -> Chats:
    return Chats(store, engine, find)
