"""What the page is made of: compressed, kept by browsers, and the same as without."""

from __future__ import annotations

import brotli
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api.packed import Packed
from vlm_app.api.page_files import PageFile

TEXT = "const words = 'said again and again';\n" * 50


class Place:
    """A server with one script, which counts how often it is read."""

    def __init__(self) -> None:
        self.reads = 0
        paths = ("/", "/assets/index-a1.js", "/other.js")
        routes = [Route(path, self._read) for path in paths]
        self.app = TestClient(Starlette(routes=routes, middleware=[Middleware(Packed)]))

    async def _read(self, request: Request) -> Response:
        self.reads += 1
        return PlainTextResponse(TEXT)

    def get(self, path: str, **headers: str) -> tuple[bytes, dict[str, str]]:
        """The bytes as they went over the wire, and the headers."""
        with self.app.stream("GET", path, headers={"accept-encoding": "br", **headers}) as answer:
            return b"".join(answer.iter_raw()), dict(answer.headers)


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.mark.parametrize("path", ["/", "/assets/index-a1.js"])
def test_what_the_page_is_made_of_goes_out_compressed(place: Place, path: str) -> None:
    for _ in range(2):  # the second time from what is kept
        body, headers = place.get(path)
        assert brotli.decompress(body) == TEXT.encode()
        assert headers["content-encoding"] == "br" and "accept-encoding" in headers["vary"]
        assert int(headers["content-length"]) == len(body) < len(TEXT) / 5


def test_a_script_is_compressed_once_and_asked_for_once_by_a_browser(place: Place) -> None:
    first, headers = place.get("/assets/index-a1.js")
    assert place.get("/assets/index-a1.js") == (first, headers) and place.reads == 1
    assert "immutable" in headers["cache-control"]


def test_the_page_itself_is_made_anew(place: Place) -> None:
    place.get("/")
    _, headers = place.get("/")
    assert place.reads == 2 and "cache-control" not in headers


@pytest.mark.parametrize("headers", [{"accept-encoding": "gzip"}, {"range": "bytes=0-4"}])
def test_who_cannot_read_it_or_asks_for_a_part_gets_it_as_it_is(
    place: Place, headers: dict[str, str]
) -> None:
    place.get("/assets/index-a1.js")
    body, told = place.get("/assets/index-a1.js", **headers)
    assert body == TEXT.encode() and "content-encoding" not in told


def test_nothing_else_is_touched_and_what_is_missing_stays_missing(place: Place) -> None:
    assert place.get("/other.js")[0] == TEXT.encode()
    for _ in range(2):
        body, headers = place.get("/assets/none.js")
        assert body == b"Not Found" and "cache-control" not in headers


def test_a_file_of_the_page_has_another_address_once_it_holds_something_else() -> None:
    one, other = (PageFile("page.css", "text/css", text) for text in ("a {}", "b {}"))
    assert one.address != other.address
    app = TestClient(Starlette(routes=[one.route()], middleware=[Middleware(Packed)]))
    answer = app.get(one.address)
    assert answer.text == "a {}" and answer.headers["content-type"].startswith("text/css")
    assert "immutable" in answer.headers["cache-control"] and app.get(other.address).status_code == 404
