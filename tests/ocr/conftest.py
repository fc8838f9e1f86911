"""RapidOCR's networks, loaded once for all tests of the room."""

from __future__ import annotations

import pytest

from vlm_app.ocr.reader import Reader


@pytest.fixture(scope="session")
def reader() -> Reader:
    return Reader()
