"""What the server answers about the workbench: pages, files and exports, to their owner only."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from tests.chat.fake_engine import FakeEngine
from tests.media.pdf_files import many_pages
from tests.media.video_files import make_video
from tests.workbench.conftest import find
from vlm_app.api.bench_routes import bench_routes
from vlm_app.api.middleware import FILE_POLICY, SecurityHeaders, Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.grounding.formats import FORMATS
from vlm_app.store import Store
from vlm_app.types import Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding, Question, Sheet


class App:
    """The routes with a bench of their own, and visitors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = Store(folder / "data")
        self.bench = Bench(self.store, FakeEngine(), find)
        self.owners = Owners(folder / "data")
        self.app = Starlette(
            routes=bench_routes(self.bench),
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=self.owners)],
        )

    def visitor(self) -> tuple[TestClient, str]:
        owner, cookie = self.owners.new()
        return TestClient(self.app, base_url="http://localhost", cookies={COOKIE: cookie}), owner

    def photo(self, owner: str) -> Sheet:
        path = self.folder / "my photo.jpg"
        Image.new("RGB", (600, 400), "red").save(path)
        return self.bench.open(owner, [(path, path.name)])

    def document(self, owner: str) -> Sheet:
        path = self.folder / "report.pdf"
        path.write_bytes(many_pages([b"BT /F1 24 Tf 20 100 Td (Hello) Tj ET"] * 2))
        return self.bench.open(owner, [(path, 'a "bad"\nname é.pdf')])

    def film(self, owner: str) -> Sheet:
        path = self.folder / "film.mp4"
        make_video(path, frames=10, rate=10)
        return self.bench.open(owner, [(path, path.name)])

    def finding(self, owner: str, sheet: Sheet) -> Finding:
        *_, step = self.bench.ask(
            owner, sheet.id, [sheet.pages[0].key], Question(Task.DETECT, "circle", "able")
        )
        assert step.finding is not None
        return step.finding


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    made.store.close()


def test_a_page_comes_in_full_and_small(app: App) -> None:
    client, owner = app.visitor()
    photo, document = app.photo(owner), app.document(owner)
    full = client.get(f"/bench/{photo.id}/i0")
    assert full.headers["content-type"] == "image/jpeg"  # as it was opened: a tenth of the bytes of a PNG
    assert Image.open(io.BytesIO(full.content)).size == (600, 400)
    page = client.get(f"/bench/{document.id}/p2")
    assert page.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(page.content)).size == (600, 400)
    for where in (f"/bench/{photo.id}/i0", f"/bench/{document.id}/p2"):
        small = client.get(f"{where}?side=160")
        assert small.headers["content-type"] == "image/webp"
        assert max(Image.open(io.BytesIO(small.content)).size) == 160


def test_a_page_that_was_asked_about_comes_as_it_was(app: App) -> None:
    client, owner = app.visitor()
    document = app.document(owner)
    before = client.get(f"/bench/{document.id}/p1").content
    app.finding(owner, document)
    after = client.get(f"/bench/{document.id}/p1").content
    assert Image.open(io.BytesIO(before)).tobytes() == Image.open(io.BytesIO(after)).tobytes()


def test_a_video_comes_in_the_parts_that_a_player_asks_for(app: App) -> None:
    client, owner = app.visitor()
    film = app.film(owner)
    whole = client.get(f"/bench/{film.id}/file")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    assert whole.headers["accept-ranges"] == "bytes"
    part = client.get(f"/bench/{film.id}/file", headers={"range": "bytes=100-199"})
    assert part.status_code == 206
    assert part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"


def test_a_document_is_downloaded_under_its_name_whatever_that_is(app: App) -> None:
    client, owner = app.visitor()
    document = app.document(owner)
    file = client.get(f"/bench/{document.id}/file")
    assert file.headers["content-type"] == "application/pdf"
    assert file.headers["content-disposition"].startswith("attachment; filename*=utf-8''a%20%22bad%22%20name")
    assert file.content == (app.folder / "report.pdf").read_bytes()


@pytest.mark.parametrize("name", FORMATS)
def test_a_finding_is_downloaded_in_every_format(app: App, name: str) -> None:
    client, owner = app.visitor()
    finding = app.finding(owner, app.photo(owner))
    file = client.get(f"/findings/{finding.id}/export.{name}")
    assert file.status_code == 200, file.text
    expected = f'attachment; filename="my-photo-jpg-detect{FORMATS[name].suffix}"'
    assert file.headers["content-disposition"] == expected
    assert file.headers["cache-control"] == "no-store"
    assert file.content


def test_what_is_exported_is_the_finding(app: App) -> None:
    client, owner = app.visitor()
    finding = app.finding(owner, app.photo(owner))
    data = json.loads(client.get(f"/findings/{finding.id}/export.json").content)
    assert [region["label"] for region in data["regions"]] == ["red circle"]
    assert data["images"] == [{"name": "my photo.jpg", "width": 600, "height": 400}]


def test_nobody_else_gets_anything(app: App) -> None:
    _, owner = app.visitor()
    stranger, _ = app.visitor()
    nobody = TestClient(app.app, base_url="http://localhost")
    film, photo = app.film(owner), app.photo(owner)
    finding = app.finding(owner, photo)
    for address in (
        f"/bench/{photo.id}/i0",
        f"/bench/{photo.id}/i0?side=160",
        f"/bench/{film.id}/file",
        f"/findings/{finding.id}/export.json",
    ):
        for client in (stranger, nobody):
            assert client.get(address).status_code == 404


def test_what_is_not_there_is_said_in_a_sentence(app: App) -> None:
    client, owner = app.visitor()
    photo = app.photo(owner)
    finding = app.finding(owner, photo)
    for address, status, words in (
        (f"/bench/{photo.id}/i9", 404, "not on the sheet"),
        (f"/bench/{photo.id}/file", 404, "images only"),
        ("/bench/no-such/i0", 404, "open its file again"),
        (f"/findings/{finding.id}/export.exe", 400, "no export format 'exe'"),
        ("/findings/no-such/export.json", 404, "ask again"),
    ):
        answer = client.get(address)
        assert (answer.status_code, words in answer.text) == (status, True)


def test_files_of_users_never_act_as_pages(app: App) -> None:
    client, owner = app.visitor()
    photo = app.photo(owner)
    finding = app.finding(owner, photo)
    for address in (f"/bench/{photo.id}/i0", f"/findings/{finding.id}/export.json"):
        headers = client.get(address).headers
        assert headers["content-security-policy"].startswith(FILE_POLICY)
        assert headers["x-content-type-options"] == "nosniff"
