"""What a browser reads of the page before its scripts run: ours, and below a proxy's path."""

from __future__ import annotations

from collections.abc import Iterator

import gradio
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api.page_head import PageHead, headed, manifest
from vlm_app.settings import settings

TEMPLATE = gradio.__path__[0] + "/templates/frontend/index.html"


@pytest.fixture
def rooted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("VLM_APP_ROOT_PATH", "/lab/vlm")
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()


@pytest.mark.usefixtures("rooted")
def test_nothing_of_the_head_leaves_the_path_of_a_proxy() -> None:
    html = headed('<head><link rel="manifest" href="/manifest.json" /></head>')
    assert html.count('rel="manifest"') == 1 and 'href="/lab/vlm/manifest.json"' in html
    assert 'href="/lab/vlm/favicon.ico"' in html
    assert manifest()["start_url"] == "/lab/vlm/" and manifest()["icons"][0]["src"] == "/lab/vlm/favicon.ico"


def test_a_preview_of_a_link_shows_this_app_and_not_gradio() -> None:
    with open(TEMPLATE, encoding="utf-8") as file:
        html = headed(file.read())
    head = html[: html.index("</head>")]
    assert "<title>vlm-app</title>" in head and "og:description" in head
    for theirs in ("Click to try out the app!", "@Gradio", "raw.githubusercontent.com", "{url}"):
        assert theirs not in head


def test_the_page_alone_is_changed_and_its_length_said_anew() -> None:
    async def page(request: Request) -> Response:
        return HTMLResponse("<head></head>é")

    async def words(request: Request) -> Response:
        return PlainTextResponse("<head></head>")

    routes = [Route("/", page), Route("/other", page), Route("/words", words)]
    app = TestClient(Starlette(routes=routes, middleware=[Middleware(PageHead)]))
    answer = app.get("/")
    assert answer.text.startswith("<head><title>vlm-app</title>") and answer.text.endswith("</head>é")
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert app.head("/").status_code == 200
    assert app.get("/other").text == "<head></head>é" and app.get("/words").text == "<head></head>"
