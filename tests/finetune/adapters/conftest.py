"""An engine on the real catalog, and the adapters of a test's data folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.finetune.adapters.made import done
from vlm_app.catalog import catalog
from vlm_app.engine import Engine, LocalBackend
from vlm_app.finetune.adapters import Adapters, keep
from vlm_app.settings import settings
from vlm_app.store import Store


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(catalog(), LocalBackend())
    yield engine
    engine.close()


@pytest.fixture
def mine(engine: Engine) -> Adapters:
    return Adapters(Store(settings().data), engine)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run on Pebble that is done, made once."""
    return done(
        tmp_path_factory.mktemp("runs") / "hearts", base="pebble", precision="fp32", name="Hearts"
    ).path


@pytest.fixture
def hearts(weights: Path) -> str:
    """Ada's adapter for Pebble; its id."""
    from vlm_app.finetune.run_folder import RunFolder

    return keep(RunFolder(weights), settings().data)
