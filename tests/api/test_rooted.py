"""Behind a reverse proxy that serves the app under a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api.middleware import outermost
from vlm_app.api.owner import Owners
from vlm_app.api.rooted import Rooted
from vlm_app.settings import settings


async def echo(request: Request) -> Response:
    raw = request.scope["raw_path"].decode()
    return PlainTextResponse(f"{request.scope['path']} {raw} {request.query_params.get('a', '')}")


@pytest.fixture
def under_vlm(monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("VLM_APP_ROOT_PATH", "/vlm/")
    settings.cache_clear()
    return TestClient(Rooted(Starlette(routes=[Route("/{rest:path}", echo)])))


@pytest.mark.parametrize("before", ["", "/vlm", "/vlm/vlm", "/vlm/%76lm/vlm"])
def test_a_proxy_may_take_its_path_away_or_leave_it(under_vlm: TestClient, before: str) -> None:
    assert under_vlm.get(f"{before}/media/a%20b?a=1").text == "/media/a b /media/a%20b 1"


def test_a_path_that_only_begins_alike_is_another_one(under_vlm: TestClient) -> None:
    assert under_vlm.get("/vlmx/a").text.startswith("/vlmx/a ")


def test_the_path_itself_leads_to_its_folder(under_vlm: TestClient) -> None:
    for path in ("/vlm", "/vlm/vlm"):
        answer = under_vlm.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (308, "/vlm/")


@pytest.mark.usefixtures("under_vlm")
def test_the_way_to_the_folder_carries_the_security_headers_too(tmp_path: Path) -> None:
    app = Starlette(routes=[Route("/media/a", echo)], lifespan=outermost(Owners(tmp_path)))
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        led, file = client.get("/vlm"), client.get("/vlm/vlm/media/a")
    assert led.status_code == 308 and "default-src 'self'" in led.headers["content-security-policy"]
    assert file.status_code == 200 and "sandbox" in file.headers["content-security-policy"]


def test_without_a_path_nothing_is_taken_away() -> None:
    client = TestClient(Rooted(Starlette(routes=[Route("/{rest:path}", echo)])))
    assert client.get("/vlm/media").text.startswith("/vlm/media ")
