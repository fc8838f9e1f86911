"""A server that can go wrong, and the app's knowledge of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers import fault_server
from tests.servers.fault_server import KEY, Faults
from vlm_app import servers
from vlm_app.servers import Server
from vlm_app.servers.breaker import forget


@pytest.fixture
def faults() -> Iterator[Faults]:
    with fault_server.serving() as running:
        yield running


@pytest.fixture
def server(faults: Faults) -> Iterator[Server]:
    """The same, added under the name 'gpu' with a key."""
    yield servers.add("gpu", faults.url, "other", KEY)
    forget("gpu")
