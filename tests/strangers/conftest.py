"""One app for all tests of strangers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.strangers.place import Place, opened


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with opened(tmp_path_factory.mktemp("strangers") / "data") as made:
        yield made
