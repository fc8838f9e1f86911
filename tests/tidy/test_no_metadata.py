"""A photograph says where it was taken when it comes, and never again: not on the disk, and on no way out."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.tidy.desk import WORD, Desk
from tests.tidy.photos import KINDS, photo, tells, tells_below, video
from vlm_app.api.bench_routes import bench_routes
from vlm_app.api.export_routes import export_routes
from vlm_app.api.report_routes import report_routes
from vlm_app.api.routes import routes
from vlm_app.api.uploading import Uploading
from vlm_app.finetune.uploads import take_in
from vlm_app.grounding.formats import FORMATS
from vlm_app.settings import settings
from vlm_app.store.uploads import Uploads
from vlm_app.types import Box, Region, Task
from vlm_app.workbench.sheet import Mark, Question

MINE = "m" * 24


class AsMe:
    """Every request is mine."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope.setdefault("state", {})["owner"] = MINE
        await self.app(scope, receive, send)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    made = Desk(tmp_path / "data", monkeypatch)
    yield made
    made.close()


@pytest.fixture
def client(desk: Desk) -> TestClient:
    """The app's own routes, and an upload as Gradio does it."""
    uploads = Uploads(desk.data)

    async def upload(request: Request) -> Response:
        path = uploads.folder / "0123456789abcdef" / "a.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(await request.body())
        return JSONResponse([str(path)])

    own = [*routes(desk.store, desk.chats, settings().assets / "examples"), *bench_routes(desk.bench)]
    own += [*report_routes(desk.bench), *export_routes(desk.chats)]
    app = Starlette(routes=[*own, Route("/gradio_api/upload", upload, methods=["POST"])])
    return TestClient(AsMe(Uploading(app, uploads)))


def got(client: TestClient, path: str) -> bytes:
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return bytes(answer.content)


def test_uploads_are_bare_before_anybody_hears_where_they_lie(client: TestClient, desk: Desk) -> None:
    for data in (*(photo(kind, 6) for kind in KINDS), video()):
        assert tells(data) or b"SECRET" in data
        (path,) = client.post("/gradio_api/upload", content=data).json()
        assert tells(Path(path).read_bytes()) == []
    assert tells_below(desk.data) == [] and desk.own.held(MINE).uploads == 1


def test_no_way_out_of_a_chat_tells(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    desk.fill(MINE, WORD, tmp_path)
    chat = desk.chats.open(MINE, desk.chats.list(MINE)[0].id)
    ways = [f"/chats/{chat.id}/export.json", f"/chats/{chat.id}/export.md", "/chats/export.zip"]
    for media in chat.media:
        ways += [
            f"/media/{media}",
            f"/media/{media}?side=320",
            f"/media/{media}/answer/{chat.messages[-1].id}",
        ]
    for way in ways:
        assert tells(got(client, way)) == [], way
    assert not list((desk.data / "cache" / "exports").iterdir())
    again = desk.chats.import_json(MINE, got(client, ways[0]))
    assert len(again.media) == len(chat.media)


def test_no_way_out_of_the_workbench_tells(client: TestClient, desk: Desk, tmp_path: Path) -> None:
    for kind in KINDS:
        path = tmp_path / f"a.{kind.lower()}"
        path.write_bytes(photo(kind, 6))
        sheet = desk.bench.open(MINE, [(path, path.name)])
        finding = desk.bench.begin(MINE, sheet.id, ["i0"], Question(Task.DETECT))
        mark = Mark("new-1", Region("thing", Box(0.1, 0.2, 0.6, 0.7)))
        desk.bench.edit(MINE, finding.id, marks=[mark], text="a thing")
        ways = [f"/bench/{sheet.id}/i0", f"/bench/{sheet.id}/i0?side=64"]
        for way in (*ways, *(f"/findings/{finding.id}/export.{name}" for name in FORMATS)):
            assert tells(got(client, way)) == [], way
        report = {"title": "All", "items": [{"finding": finding.id, "mark": "", "page": "i0"}]}
        assert tells(client.post("/report.html", json=report).content) == []
        assert path.read_bytes() == photo(kind, 6)  # a person's own file is not touched
    assert tells_below(desk.data) == []


def test_no_example_that_is_taught_tells(desk: Desk, tmp_path: Path) -> None:
    packed = tmp_path / "set.zip"
    with zipfile.ZipFile(packed, "w") as whole:
        rows = ["image,task,query,answer"]
        for kind, orientation in (("JPEG", 1), ("JPEG", 6), ("PNG", 1), ("PNG", 6)):
            name = f"{orientation}.{kind.lower()}"
            whole.writestr(name, photo(kind, orientation))
            rows.append(f"{name},caption,,A wedge")
        whole.writestr("rows.csv", "\n".join(rows))
    examples = desk.workshop.examples
    dataset = examples.create(MINE, "Things").id
    assert take_in(examples, MINE, dataset, packed, packed.name).added == 4
    desk.fill(MINE, WORD, tmp_path)  # with a run of its own
    (run,) = desk.workshop.runs.runs(MINE)
    taught = list(run.folder.examples("train"))
    assert taught and all(not each.pictures[0].pixels.info for each in taught)
    kept = desk.uploads.folder
    for path in kept.rglob("*"):
        if path.is_file():
            path.unlink()  # which the test itself wrote, not the page
    assert tells_below(desk.data) == []
