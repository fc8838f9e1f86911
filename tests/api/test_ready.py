"""`/ready` tells a proxy or an orchestrator when to send visitors."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from tests.ui.fake_engine import FakeEngine
from vlm_app import __version__
from vlm_app.api.ready import ready_routes
from vlm_app.engine.events import Answered, Broadcaster, Loaded, LoadFailed
from vlm_app.types import Finish


class Waking(FakeEngine):
    """An engine whose models are in the state that a test gives them."""

    def __init__(self, status: str) -> None:
        super().__init__()
        self.status = status
        self.events = Broadcaster()
        self.subscribe = self.events.subscribe


def client(engine: Waking, ending: bool = False) -> TestClient:
    return TestClient(Starlette(routes=ready_routes(engine, lambda: ending)))


@pytest.mark.parametrize("status", ["unloaded", "waiting", "loading", "failed"])
def test_nobody_is_sent_here_before_a_model_answers(status: str) -> None:
    answer = client(Waking(status)).get("/ready")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "5"
    assert answer.json() == {"status": status, "version": __version__}
    assert answer.headers["cache-control"] == "no-store"


def test_a_loaded_model_is_ready_also_after_it_left_the_memory_unused() -> None:
    engine = Waking("loading")
    visitor = client(engine)
    engine.events.publish(Loaded("pebble", 1.0, 10, "fp32"))
    assert visitor.get("/ready").json() == {"status": "ready", "version": __version__}
    engine.status = "unloaded"
    assert visitor.get("/ready").status_code == 200


def test_another_model_than_the_first_is_enough() -> None:
    engine = Waking("failed")
    visitor = client(engine)
    engine.events.publish(Answered("florence-2-base", Finish.STOP, 5))
    assert visitor.get("/ready").status_code == 200


def test_a_question_that_fails_does_not_turn_others_away() -> None:
    engine = Waking("loading")
    visitor = client(engine)
    engine.events.publish(Answered("pebble", Finish.FAILED, 0))
    assert visitor.get("/ready").status_code == 503
    engine.events.publish(Loaded("pebble", 1.0, 10, "fp32"))
    engine.events.publish(Answered("pebble", Finish.FAILED, 0))
    assert visitor.get("/ready").status_code == 200


def test_a_model_that_cannot_be_loaded_again_is_not_ready() -> None:
    engine = Waking("failed")
    visitor = client(engine)
    engine.events.publish(Loaded("pebble", 1.0, 10, "fp32"))
    engine.events.publish(LoadFailed("pebble", "Its files are gone."))
    assert visitor.get("/ready").json()["status"] == "failed"


def test_nobody_is_sent_here_while_the_app_ends() -> None:
    answer = client(Waking("ready"), ending=True).get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "ending")


def test_a_model_on_a_server_needs_no_loading() -> None:
    assert client(Waking("ready")).get("/ready").status_code == 200


def test_a_first_model_that_does_not_exist_is_no_error_of_the_server(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from vlm_app.settings import settings

    monkeypatch.setenv("VLM_APP_MODEL", "nowhere")
    settings.cache_clear()
    answer = client(Waking("loading")).get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "failed")
