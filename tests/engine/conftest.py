"""One tiny model for all tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.ready import Ready
from tests.engine.tiny import row, save_pebble
from vlm_app.engine import Engine, LoadedModel
from vlm_app.engine.batching import share
from vlm_app.engine.loading import load_checkpoint


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a tiny Pebble lies on disk."""
    return save_pebble(tmp_path_factory.mktemp("models") / "pebble")


@pytest.fixture(scope="session")
def loaded(folder: Path) -> LoadedModel:
    loaded = load_checkpoint(row(folder))
    share(loaded)
    return loaded


@pytest.fixture(autouse=True)
def drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether an image looks drawn is not what these tests are about."""
    monkeypatch.setattr("vlm_app.pebble.world_check.looks_drawn", lambda image: True)


@pytest.fixture
def engine(loaded: LoadedModel) -> Iterator[Engine]:
    """An engine whose one model is ready; it must have no lease left at the end of a test."""
    engine = Engine({"pebble": loaded.checkpoint}, Ready(loaded))
    yield engine
    assert engine.leases == {}
    engine.close()
