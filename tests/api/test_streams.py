"""The answer to a press says which of its tab's streams have ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api import streams
from vlm_app.api.streams import ENDED, STREAM, Streams

MESSAGES = ['data: {"msg":"process_completed","text":"\\"msg\\":\\"close_stream\\""}\n\n']
END = 'data: {"msg":"close_stream","event_id":null}\n\n'


async def data(request: Request) -> Response:
    return StreamingResponse(iter([*MESSAGES, *[END] * ("end" in request.query_params)]))


async def join(request: Request) -> Response:
    return JSONResponse({"event_id": "1"})


@pytest.fixture
def app() -> Iterator[TestClient]:
    routes = [Route("/gradio_api/queue/data", data), Route("/gradio_api/queue/join", join, methods=["POST"])]
    with TestClient(
        Starlette(routes=routes, middleware=[Middleware(Streams, listening=nullcontext)])
    ) as client:
        yield client


def listen(app: TestClient, name: str, end: bool = True) -> None:
    app.get(f"/gradio_api/queue/data?{'end' * end}", headers={STREAM: name})


def press(app: TestClient, name: str) -> str | None:
    return app.post("/gradio_api/queue/join", headers={STREAM: name} if name else {}).headers.get(ENDED)


def test_a_press_hears_of_the_end_of_its_own_tabs_streams(app: TestClient) -> None:
    assert press(app, "mine.0") == "0"
    listen(app, "mine.1")
    listen(app, "other.5")
    assert (press(app, "mine.1"), press(app, "other.5"), press(app, "third.2")) == ("1", "5", "0")


def test_a_stream_that_breaks_off_has_not_ended(app: TestClient) -> None:
    """And what a visitor wrote ends none."""
    listen(app, "mine.1", end=False)
    assert press(app, "mine.1") == "0"


def test_whoever_numbers_no_streams_is_answered_as_ever(app: TestClient) -> None:
    assert press(app, "") is None
    for name in ("mine", "mine.", ".1", "mine.-1", "mine.x", f"{'a' * 500}.1", f"mine.{'1' * 500}"):
        assert press(app, name) is None, name


def test_few_tabs_are_remembered(app: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_TABS", 2)
    for tab in "abc":
        listen(app, f"{tab}.1")
    assert [press(app, f"{tab}.1") for tab in "abc"] == ["0", "1", "1"]


def test_a_tab_listens_until_its_stream_has_ended() -> None:
    told: list[str] = []

    @contextmanager
    def listening() -> Iterator[None]:
        told.append("begun")
        yield
        told.append("over")

    async def say(request: Request) -> Response:
        def events() -> Iterator[str]:
            told.append("said")
            yield END

        return StreamingResponse(events())

    routes = [Route("/queue/data", say), Route("/queue/join", join)]
    with TestClient(Starlette(routes=routes, middleware=[Middleware(Streams, listening=listening)])) as app:
        app.get("/queue/join")
        app.get("/queue/data")
    assert told == ["begun", "said", "over"]
