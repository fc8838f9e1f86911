"""What the server answers beside the page, through its middleware."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from tests.ui.fake_engine import FakeEngine
from vlm_app.api.middleware import SecurityHeaders, Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.api.routes import routes
from vlm_app.chat import Chats, Conversation
from vlm_app.media import picture_from
from vlm_app.settings import settings
from vlm_app.store import Store

Come = Callable[[], TestClient]


class App:
    """The routes with a store of their own, and visitors."""

    def __init__(self, data: Path) -> None:
        self.store = Store(data)
        self.chats = Chats(self.store, FakeEngine())
        self.owners = Owners(data)
        examples = settings().assets / "examples"
        self.app = Starlette(
            routes=[Route("/", self._page), *routes(self.store, self.chats, examples)],
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=self.owners)],
        )

    async def _page(self, request: Request) -> Response:
        return PlainTextResponse("page")

    def visitor(self) -> tuple[TestClient, str]:
        owner, cookie = self.owners.new()
        return TestClient(self.app, base_url="http://localhost", cookies={COOKIE: cookie}), owner

    def chat(self, owner: str) -> Conversation:
        """A chat about a picture, with an answer that has regions."""
        picture = picture_from(Image.new("RGB", (600, 400), "white"))
        steps = list(self.chats.send(owner, self.chats.new(owner), (picture, "what is there?")))
        return steps[-1].conversation


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    made.store.close()


def image_of(response: object) -> Image.Image:
    return Image.open(io.BytesIO(response.content))


def test_health_answers_without_a_cookie(app: App) -> None:
    assert TestClient(app.app).get("/health").json()["status"] == "ok"


def test_owner_sees_picture_thumbnail_and_drawn_copy(app: App) -> None:
    client, owner = app.visitor()
    chat = app.chat(owner)
    media = f"/media/{chat.media[0]}"
    assert image_of(client.get(media)).size == (600, 400)
    assert max(image_of(client.get(f"{media}?side=320")).size) == 320
    drawn = image_of(client.get(f"{media}/answer/{chat.messages[-1].id}"))
    assert drawn.size == (600, 400)
    assert len(drawn.convert("RGB").getcolors(100_000) or ()) > 3


def test_strangers_and_guesses_get_the_same_404(app: App) -> None:
    _, owner = app.visitor()
    chat = app.chat(owner)
    stranger, _ = app.visitor()
    media = chat.media[0]
    paths = [f"/media/{media}", f"/media/{media}?side=320", f"/media/{media}/answer/{chat.messages[-1].id}"]
    paths += [f"/chats/{chat.id}/export.json", f"/chats/{chat.id}/export.md"]
    for client in (stranger, TestClient(app.app, base_url="http://localhost")):
        for path in paths:
            response = client.get(path)
            assert response.status_code == 404, path
            assert response.headers["cache-control"] == "no-store"
            assert "Traceback" not in response.text
    guessed = stranger.get(f"/media/{media[:-1]}x")
    assert guessed.text == stranger.get(f"/media/{media}").text


def test_answer_of_another_picture_is_not_drawn_on_mine(app: App) -> None:
    client, owner = app.visitor()
    _, other = app.visitor()
    mine, theirs = app.chat(owner), app.chat(other)
    assert client.get(f"/media/{mine.media[0]}/answer/{theirs.messages[-1].id}").status_code == 404


@pytest.mark.parametrize("side", ["0", "-5", "99999", "1e9", "abc", "٣٢٠", ""])
def test_any_thumbnail_size_is_answered_within_bounds(app: App, side: str) -> None:
    client, owner = app.visitor()
    response = client.get(f"/media/{app.chat(owner).media[0]}", params={"side": side})
    assert response.status_code == 200
    assert 16 <= max(image_of(response).size) <= 2048


def test_exports_are_downloads_with_a_plain_name(app: App) -> None:
    client, owner = app.visitor()
    chat = app.chats.rename(owner, app.chat(owner).id, 'My "chat"\r\nx: y / ../é')
    for kind in ("json", "md"):
        response = client.get(f"/chats/{chat.id}/export.{kind}")
        assert response.headers["content-disposition"] == f'attachment; filename="my-chat-x-y.{kind}"'
    assert client.get(f"/chats/{chat.id}/export.exe").status_code == 404


def test_only_examples_are_served_as_examples(app: App) -> None:
    client, _ = app.visitor()
    assert client.get("/examples/shapes.png").status_code == 200
    for path in ("/examples/..%2fstyle.css", "/examples/style.css", "/examples/%2e%2e"):
        assert client.get(path).status_code == 404


def test_first_page_brings_the_cookie_and_later_ones_keep_it(app: App) -> None:
    client = TestClient(app.app, base_url="http://localhost")
    first = client.get("/", headers={"accept": "text/html"})
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=Lax" in first.headers["set-cookie"]
    assert "set-cookie" not in client.get("/", headers={"accept": "text/html"}).headers
    assert "set-cookie" not in TestClient(app.app).get("/health").headers


def test_a_cookie_is_given_only_where_those_without_one_are_counted(app: App) -> None:
    client = TestClient(app.app, base_url="http://localhost", headers={"accept": "text/html"})
    for path in ("/health", "/nowhere", "/assets/a.js", "/favicon.ico"):
        assert "set-cookie" not in client.get(path).headers, path


def test_frame_of_another_site_gets_a_partitioned_cookie(app: App) -> None:
    headers = {"accept": "text/html", "sec-fetch-dest": "iframe", "sec-fetch-site": "cross-site"}
    cookie = TestClient(app.app).get("/", headers=headers).headers["set-cookie"]
    assert "SameSite=None; Secure; Partitioned" in cookie


def test_every_response_carries_the_security_headers(app: App) -> None:
    client, owner = app.visitor()
    media = f"/media/{app.chat(owner).media[0]}"
    for path in ("/", media, "/health", "/nowhere", "/media/none"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "default-src" in headers["content-security-policy"]
    assert "sandbox" in client.get(media).headers["content-security-policy"]
    assert "img-src 'self' data: blob:" in client.get("/").headers["content-security-policy"]


def test_off_localhost_only_named_sites_may_frame_the_page(app: App) -> None:
    away = TestClient(app.app, base_url="http://app.example.org")
    assert "frame-ancestors 'self'" in away.get("/").headers["content-security-policy"]
    here = TestClient(app.app, base_url="http://localhost:7860").get("/").headers["content-security-policy"]
    assert "frame-ancestors 'self' http://localhost:*" in here and "huggingface" not in here


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "https://localhost.evil", "http://["]
)
def test_requests_from_other_sites_are_turned_away(app: App, origin: str) -> None:
    client, owner = app.visitor()
    media = f"/media/{app.chat(owner).media[0]}"
    assert client.get(media, headers={"origin": origin}).status_code == 403
    assert client.get(media, headers={"origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize(
    "path", ["/gradio_api/file=http://127.0.0.1:1/", "/gradio_api/file=HTTPS://x.org/", "/gradio_api/proxy=x"]
)
def test_nothing_is_fetched_for_a_stranger(app: App, path: str) -> None:
    client, _ = app.visitor()
    assert client.get(path).status_code == 404
