"""Datasets that are refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.uploads.bringing import uri, written_below


def row(number: int = 1, picture: str | None = None) -> dict[str, Any]:
    parts = [
        {"type": "image_url", "image_url": {"url": uri(number) if picture is None else picture}},
        {"type": "text", "text": "What?"},
    ]
    return {
        "messages": [
            {"role": "user", "content": parts},
            {"role": "assistant", "content": f"Square {number}."},
        ]
    }


@pytest.fixture(autouse=True)
def nothing_is_left(tmp_path: Path) -> Iterator[None]:
    """Whatever happens, what was unpacked is gone afterwards, and nothing else was written."""
    before: set[str] = set()
    yield
    left = {name for name in written_below(tmp_path) - before if name.startswith("data/")}
    assert left <= {"data/cache", "data/cache/datasets", "data/cache/datasets/.lock"}
