"""Requests that are too many or too large: refused early, with a sentence, in flat memory."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
from gradio.route_utils import upload_fn
from starlette.applications import Starlette
from starlette.formparsers import MultiPartException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from vlm_app.api import uploading
from vlm_app.api.limited import Limited
from vlm_app.api.middleware import Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.api.uploading import Uploading
from vlm_app.store import Store
from vlm_app.store.uploads import Uploads

MB = 1_000_000


class App:
    """Gradio's own way with uploads, and a route that reads a body, behind our middleware."""

    def __init__(self, data: Path) -> None:
        self.store = Store(data)
        self.owners = Owners(data)
        self.uploads = data / "cache" / "uploads"
        self.read = 0
        routes = [
            Route("/", self._body, methods=["GET"]),
            Route("/gradio_api/upload", self._upload, methods=["POST"]),
            Route("/gradio_api/queue/join", self._body, methods=["POST"]),
            Route("/gradio_api/run/predict", self._body, methods=["POST"]),
            Route("/media/x", self._body),
        ]
        middleware = [
            Middleware(Visitors, owners=self.owners),
            Middleware(Limited, disk=self.store.disk),
            Middleware(Uploading, uploads=Uploads(data)),
        ]
        self.app = Starlette(routes=routes, middleware=middleware)

    async def _upload(self, request: Request) -> Response:
        try:
            files, _, _ = await upload_fn(request, self.uploads, 10**12, None)
        except MultiPartException as error:  # as Gradio's own route does
            return PlainTextResponse(error.message, 400)
        return JSONResponse([str(each) for each in files])

    async def _body(self, request: Request) -> Response:
        self.read = len(await request.body())
        return PlainTextResponse("answered")

    def visitor(self) -> TestClient:
        _, cookie = self.owners.new()
        return TestClient(self.app, base_url="http://app.example", cookies={COOKIE: cookie})

    def kept(self) -> list[Path]:
        return [each for each in self.uploads.rglob("*") if each.is_file()]


@pytest.fixture
def app(tmp_path: Path, narrow: Callable[..., None]) -> Iterator[App]:
    narrow(everyone="visitor")
    made = App(tmp_path / "data")
    yield made
    made.store.close()


def form(*files: tuple[str, bytes]) -> list[tuple[str, tuple[str, bytes]]]:
    return [("files", each) for each in files]


def test_requests_a_minute_are_counted_for_each_visitor(app: App, narrow: Callable[..., None]) -> None:
    narrow(everyone="visitor", visitor_requests=3)
    vera, walt = app.visitor(), app.visitor()
    asked = [vera.post("/gradio_api/queue/join", json={}) for _ in range(4)]
    assert [each.status_code for each in asked] == [200, 200, 200, 429]
    told = asked[-1].json()
    assert told["detail"].startswith("At most 3 requests a minute are answered for a visitor: wait ")
    assert told["error"] == told["detail"]  # the page and Gradio's client read one or the other
    assert walt.post("/gradio_api/queue/join", json={}).status_code == 200
    # What the page does by itself goes on: pictures, timers, the stop button.
    assert vera.post("/gradio_api/run/predict", json={}).status_code == 200
    assert vera.get("/media/x").status_code == 200


def test_small_requests_have_a_limit_of_their_own(app: App, narrow: Callable[..., None]) -> None:
    narrow(everyone="visitor", visitor_requests=1)
    vera = app.visitor()
    got = [vera.get("/media/x") for _ in range(11)]
    assert [each.status_code for each in got] == [200] * 10 + [429]
    assert got[-1].text.startswith("At most 10 small requests a minute are answered for a visitor")


def test_a_new_cookie_for_each_page_does_not_help(app: App, narrow: Callable[..., None]) -> None:
    narrow(everyone="visitor", visitor_requests=1)
    pages = [
        TestClient(app.app, base_url="http://app.example").get("/", headers={"accept": "text/html"})
        for _ in range(11)
    ]
    assert [each.status_code for each in pages] == [200] * 10 + [429]


def test_a_new_cookie_for_each_question_does_not_help(app: App, narrow: Callable[..., None]) -> None:
    narrow(everyone="visitor", visitor_requests=1)
    asked = [app.visitor().post("/gradio_api/queue/join", json={}) for _ in range(11)]
    assert [each.status_code for each in asked] == [200] * 10 + [429]


@pytest.mark.parametrize("place", ["space", "zerogpu"])
def test_on_a_space_those_without_a_cookie_are_counted_by_the_last_public_hop(
    app: App, narrow: Callable[..., None], place: str
) -> None:
    narrow(place=place, visitor_requests=1)

    def asked(number: int, address: str) -> int:
        came = {"x-forwarded-for": f"192.0.2.{number}, 8.8.8.8, {address}, 10.0.0.{number}"}
        return app.visitor().post("/gradio_api/queue/join", json={}, headers=came).status_code

    assert [asked(number, "9.9.9.9") for number in range(11)] == [200] * 10 + [429]
    assert asked(0, "1.1.1.1") == 200


def test_elsewhere_what_a_header_says_counts_nobody(app: App, narrow: Callable[..., None]) -> None:
    narrow(place="container", visitor_requests=1)
    came = {"x-forwarded-for": "9.9.9.9"}
    asked = [app.visitor().post("/gradio_api/queue/join", json={}, headers=came) for _ in range(11)]
    assert {each.status_code for each in asked} == {200}


def test_an_admin_has_no_such_limit(app: App, narrow: Callable[..., None]) -> None:
    narrow(everyone="admin", visitor_requests=1, member_requests=1)
    ada = app.visitor()
    body = json.dumps("x" * 30 * MB)
    assert {ada.post("/gradio_api/queue/join", content=body).status_code for _ in range(3)} == {200}


def test_too_many_files_in_one_upload_are_refused_and_none_is_kept(app: App) -> None:
    vera = app.visitor()
    answer = vera.post("/gradio_api/upload", files=form(*((f"{n}.png", b"x") for n in range(900))))
    assert (answer.status_code, answer.text) == (
        413,
        "At most 100 files come in one upload, and here are more: upload them in several goes.",
    )
    assert app.kept() == []
    assert vera.post("/gradio_api/upload", files=form(("a.png", b"x"), ("b.png", b"y"))).status_code == 200
    assert len(app.kept()) == 2


@pytest.mark.parametrize(("name", "most"), [("a.png", 1), ("a.pdf", 1), ("a.mp4", 3), ("a", 3)])
def test_a_file_that_is_too_large_is_refused_by_what_it_is_called(
    app: App, narrow: Callable[..., None], name: str, most: int
) -> None:
    narrow(everyone="visitor", visitor_bytes="1MB", visitor_video_bytes="3MB")
    vera = app.visitor()
    assert vera.post("/gradio_api/upload", files=form((name, bytes(most * MB)))).status_code == 200
    before = app.kept()
    answer = vera.post("/gradio_api/upload", files=form((name, bytes(most * MB + 1))))
    assert answer.status_code == 413
    assert answer.text == (
        f"“{name}” is larger than the {most} MB that a visitor may upload in one file: make it smaller first."
    )
    assert app.kept() == before


def endless(piece: bytes, sent: list[int]) -> Iterator[bytes]:
    """A body of 4 GB that counts how much of it was asked for."""
    for _ in range(4_000_000_000 // len(piece)):
        sent.append(len(piece))
        yield piece


@pytest.mark.parametrize("path", ["/gradio_api/upload", "/gradio_api/queue/join"])
def test_a_body_without_end_is_refused_before_it_is_read_in_flat_memory(
    app: App, narrow: Callable[..., None], path: str
) -> None:
    narrow(everyone="visitor", visitor_bytes="2MB", visitor_video_bytes="2MB")
    head = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
    received: list[int] = []
    messages = endless(bytes(65536), received)
    answers: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        body = head if not received else b""
        return {"type": "http.request", "body": body + next(messages), "more_body": True}

    async def send(message: dict[str, object]) -> None:
        answers.append(message)

    _, cookie = app.owners.new()
    headers = [(b"host", b"app.example"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    headers.append((b"content-type", b"multipart/form-data; boundary=b"))
    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b"",
             "headers": headers, "scheme": "http", "client": ("192.0.2.1", 1), "server": ("app.example", 80),
             "root_path": "", "http_version": "1.1"}  # fmt: skip
    tracemalloc.start()
    try:
        anyio.run(app.app, scope, receive, send)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert answers[0]["status"] == 413
    assert b"2 MB" in b"".join(each.get("body", b"") for each in answers)
    assert sum(received) < 3 * MB
    assert peak < 8 * MB
    assert app.kept() == []


def test_what_says_itself_that_it_is_too_large_is_not_read_at_all(
    app: App, narrow: Callable[..., None]
) -> None:
    narrow(everyone="visitor", visitor_bytes="1MB")
    answer = app.visitor().post("/gradio_api/queue/join", content=bytes(2 * MB))
    assert answer.status_code == 413
    assert answer.json()["detail"].startswith("A request of a visitor may hold at most 1 MB")
    assert app.read == 0


def test_uploads_that_would_fill_the_visitors_share_of_the_disk_are_refused(
    app: App, narrow: Callable[..., None]
) -> None:
    narrow(everyone="visitor", visitor_disk="3MB")
    vera = app.visitor()
    sent = [vera.post("/gradio_api/upload", files=form((f"{n}.png", bytes([n]) * MB))) for n in range(4)]
    assert [each.status_code for each in sent] == [200, 200, 413, 413]
    assert sent[-1].text.startswith(
        "At most 3 MB are kept for a visitor, you have 2 MB and this takes 1 MB more"
    )
    assert app.visitor().post("/gradio_api/upload", files=form(("a.png", b"x"))).status_code == 200
    for each in app.kept():  # as the sweep does
        shutil.rmtree(each.parent)
    assert vera.post("/gradio_api/upload", files=form(("b.png", b"x"))).status_code == 200


def chunked(*parts: bytes) -> Iterator[bytes]:
    """A form that does not say how long it is."""
    for part in parts:
        yield b'--b\r\nContent-Disposition: form-data; name="' + part + b"\r\n"
    yield b"--b--\r\n"


FORM = {"content-type": "multipart/form-data; boundary=b"}


def test_files_that_fill_the_disk_together_are_refused_where_no_length_was_said(
    app: App, narrow: Callable[..., None]
) -> None:
    narrow(everyone="visitor", visitor_disk="3MB")
    vera = app.visitor()
    parts = (b'files"; filename="%d.png"\r\n\r\n' % number + bytes([number]) * MB for number in range(4))
    answer = vera.post("/gradio_api/upload", content=chunked(*parts), headers=FORM)
    assert (answer.status_code, answer.text) == (
        413,
        "At most 3 MB are kept for a visitor, and this upload is larger than the 3 MB that are left: "
        "delete what you no longer need, and try again.",
    )
    assert app.kept() == []


def test_a_field_that_is_no_file_stays_small(app: App) -> None:
    vera = app.visitor()
    file = b'files"; filename="a.png"\r\n\r\nx'
    sent = [
        vera.post("/gradio_api/upload", content=chunked(file, b'note"\r\n\r\n' + bytes(size)), headers=FORM)
        for size in (10_000, 10_001)
    ]
    assert [each.status_code for each in sent] == [200, 413]
    assert sent[1].text.startswith("A field of an upload that is no file may hold at most 10,000 bytes")


def test_two_uploads_at_once_share_what_is_left(app: App, narrow: Callable[..., None]) -> None:
    """Neither has written anything yet when the other is let in; one that breaks off gives its room back."""
    narrow(everyone="visitor", visitor_disk="3MB")
    vera, cookie = app.owners.new()
    body = b"".join(chunked(b'files"; filename="a.png"\r\n\r\n' + bytes(2 * MB)))
    statuses: list[object] = []

    async def upload(length: bool, goes_on: anyio.Event, whole: bool = True) -> None:
        came = iter((body, b""))

        async def receive() -> dict[str, object]:
            await goes_on.wait()
            return {"type": "http.request", "body": next(came)} if whole else {"type": "http.disconnect"}

        async def send(message: dict[str, object]) -> None:
            statuses.append(message.get("status"))

        said = [(b"content-length", str(len(body)).encode())] if length else []
        with suppress(ClientDisconnect):
            await app.app(asked(cookie, said), receive, send)

    async def both(length: bool, whole: bool) -> None:
        goes_on = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upload, length, goes_on, whole)
            tasks.start_soon(upload, length, goes_on)
            await anyio.wait_all_tasks_blocked()
            goes_on.set()

    for length in (True, False):
        statuses.clear()
        anyio.run(both, length, True)
        assert sorted(each for each in statuses if each) == [200, 413]
        for each in app.kept():
            shutil.rmtree(each.parent)
        assert app.store.disk.used(vera) == 0
    statuses.clear()
    anyio.run(both, False, False)
    assert statuses.count(200) == 1  # nobody hears the answer to the other


def asked(cookie: str, more: Sequence[tuple[bytes, bytes]] = ()) -> dict[str, object]:
    """An upload as a server hands it on."""
    headers = [(b"host", b"app.example"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    headers += [*((key.encode(), value.encode()) for key, value in FORM.items()), *more]
    path = "/gradio_api/upload"
    return {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "scheme": "http",
            "query_string": b"", "headers": headers, "client": ("192.0.2.1", 1), "root_path": "",
            "server": ("app.example", 80), "http_version": "1.1"}  # fmt: skip


def test_a_third_upload_at_once_waits_for_the_others(app: App) -> None:
    """Two that have not ended, then one more: by whom decides."""
    (vera, cookie), (walt, other) = app.owners.new(), app.owners.new()
    assert vera != walt
    statuses: dict[str, list[object]] = {}

    async def upload(name: str, cookie: str, goes_on: anyio.Event | None) -> None:
        async def receive() -> dict[str, object]:
            if goes_on is not None:
                await goes_on.wait()
            return {"type": "http.request", "body": b"".join(chunked(b'files"; filename="a.png"\r\n\r\nx'))}

        async def send(message: dict[str, object]) -> None:
            statuses.setdefault(name, []).append(message.get("status"))

        await app.app(asked(cookie), receive, send)

    async def all_of_them() -> None:
        goes_on = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upload, "first", cookie, goes_on)
            tasks.start_soon(upload, "second", cookie, goes_on)
            await anyio.wait_all_tasks_blocked()
            await upload("third", cookie, None)
            await upload("walt's", other, None)
            goes_on.set()
        await upload("later", cookie, None)

    anyio.run(all_of_them)
    first = {name: each[0] for name, each in statuses.items()}
    assert first == {"first": 200, "second": 200, "third": 429, "walt's": 200, "later": 200}


def test_what_cannot_be_made_bare_is_in_its_owners_share(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path) -> bool:
        raise OSError("No space left on device")

    monkeypatch.setattr(uploading, "bare_file", broken)
    owner, cookie = app.owners.new()
    vera = TestClient(
        app.app, base_url="http://app.example", cookies={COOKIE: cookie}, raise_server_exceptions=False
    )
    assert vera.post("/gradio_api/upload", files=form(("a.png", b"x"))).status_code == 500
    assert len(app.kept()) == 1 and app.store.disk.used(owner) == 1


def test_who_sends_no_cookie_has_a_share_of_the_disk_too(app: App, narrow: Callable[..., None]) -> None:
    narrow(everyone="visitor", visitor_disk="3MB")
    program = TestClient(app.app, base_url="http://app.example")
    sent = [program.post("/gradio_api/upload", files=form((f"{n}.bin", bytes([n]) * MB))) for n in range(4)]
    assert [each.status_code for each in sent] == [200, 200, 413, 413]


@pytest.mark.parametrize("body", [b"", b"no form", b"--b\r\nContent-Disp", b"--b\r\n" + b"x" * 100_000])
def test_a_broken_form_stays_gradios_to_refuse(app: App, body: bytes) -> None:
    headers = {"content-type": "multipart/form-data; boundary=b"}
    answer = app.visitor().post("/gradio_api/upload", content=body, headers=headers)
    assert answer.status_code in (200, 400)
    assert app.kept() == []
