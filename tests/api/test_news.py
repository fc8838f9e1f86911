"""What an open page asks again and again: whether anything changed by itself."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.ui.fake_manager import FakeManager
from vlm_app import hub
from vlm_app.api.news import news_routes
from vlm_app.engine.events import Event, Listener, LoadFailed


class Engine(FakeManager):
    """Tells its one listener."""

    listener: Listener

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        self.listener = listener
        return lambda: None

    def tell(self, event: Event) -> None:
        self.listener(event)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(hub, "reachable", lambda: False)
    return Engine()


def _told(app: TestClient) -> dict[str, str]:
    answer = app.get("/news")
    assert answer.headers["cache-control"] == "no-store"
    return dict(answer.json())


def test_nothing_is_new_until_a_model_or_the_network_changes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = TestClient(Starlette(routes=news_routes(engine)))
    said = [_told(app), _told(app)]
    assert said[0] == said[1]
    engine.warm("smolvlm2-500m")
    said.append(_told(app))
    engine.tell(LoadFailed("florence-2-base", "It does not fit."))  # which no loaded model shows
    said.append(_told(app))
    monkeypatch.setattr(hub, "reachable", lambda: True)
    said.append(_told(app))
    assert len({each["news"] for each in said}) == 4
    assert len({each["started"] for each in said}) == 1


def test_another_server_says_so(engine: Engine) -> None:
    one, other = (TestClient(Starlette(routes=news_routes(engine))) for _ in range(2))
    assert _told(one)["started"] != _told(other)["started"]
