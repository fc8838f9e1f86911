"""What every test gets: a data folder of its own, no way to the Hub, a temporary folder that goes with it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from vlm_app.store import Store

# Before anything is imported that reads them.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
# Small models gain nothing by a second thread: on a busy machine it is waited for, and spins meanwhile.
os.environ["OMP_NUM_THREADS"] = "1"
_WORKER = "PYTEST_XDIST_WORKER" in os.environ  # it writes into the folder of the process that started it
if not _WORKER:
    os.environ["PYTEST_DEBUG_TEMPROOT"] = tempfile.gettempdir()  # pytest keeps the last ones to look at
    os.environ["TMPDIR"] = tempfile.tempdir = tempfile.mkdtemp(prefix="vlm-tests-")
os.environ["VLM_APP_DATA"] = tempfile.mkdtemp(prefix="data-")


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings that point to this test's folder: nothing is written to the user's."""
    from vlm_app.settings import settings

    monkeypatch.setenv("VLM_APP_DATA", str(tmp_path / "data"))
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """What lasts, in this test's folder."""
    from vlm_app.store import Store

    made = Store(tmp_path / "data")
    yield made
    made.close()


def pytest_unconfigure() -> None:
    """The tiny checkpoints of a whole run are hundreds of megabytes."""
    if not _WORKER:
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests come last: until its browser is closed, Playwright's event loop runs in this thread."""
    items.sort(key=lambda item: "browser" in item.path.parts)
