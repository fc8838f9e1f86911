"""A report of regions that were chosen on the workbench, for their owner only."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from tests.chat.fake_engine import FakeEngine
from tests.workbench.conftest import find
from vlm_app.api.middleware import FILE_POLICY, SecurityHeaders, Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.api.report_routes import MOST_CLIPPINGS, report_routes
from vlm_app.store import Store
from vlm_app.types import Box, Picture, Region, Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding, Mark, Question


class App:
    """The route with a bench of its own, a visitor, and their finding about several images."""

    def __init__(self, folder: Path, images: int = 4) -> None:
        self.store = Store(folder / "data")
        self.bench = Bench(self.store, FakeEngine(), find)
        owners = Owners(folder / "data")
        app = Starlette(
            routes=report_routes(self.bench),
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=owners)],
        )
        self.owner, cookie = owners.new()
        _, other = owners.new()
        self.client, self.stranger = (
            TestClient(app, base_url="http://localhost", cookies={COOKIE: each}) for each in (cookie, other)
        )
        paths = [folder / f"{number}.png" for number in range(images)]
        for number, path in enumerate(paths):
            Image.new("RGB", (600, 400), (60 * number, 0, 0)).save(path)
        sheet = self.bench.open(self.owner, [(path, path.name) for path in paths])
        keys = [page.key for page in sheet.pages]
        finding = self.bench.begin(self.owner, sheet.id, keys, Question(Task.DETECT))
        marks = [Mark(f"new-{n}", Region(f"thing {n}", Box(0.1, 0.1, 0.4, 0.4), n)) for n in range(images)]
        self.finding: Finding = self.bench.edit(self.owner, finding.id, marks=marks)

    @property
    def items(self) -> list[dict[str, str]]:
        return [
            {"finding": self.finding.id, "mark": mark.id, "page": self.finding.pages[mark.region.image]}
            for mark in self.finding.marks
        ]


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path)
    yield app
    app.store.close()


@pytest.mark.parametrize("kind", ["html", "pdf"])
def test_chosen_regions_become_a_file_of_the_reports_name(app: App, kind: str) -> None:
    reply = app.client.post(f"/report.{kind}", json={"title": "My <cats>", "items": app.items})
    assert reply.status_code == 200
    assert reply.headers["content-disposition"] == f'attachment; filename="my-cats.{kind}"'
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["content-security-policy"].startswith(FILE_POLICY)
    if kind == "html":
        assert all(f"thing {number}" in reply.text for number in range(4))
        assert "My &lt;cats&gt;" in reply.text


def test_a_stranger_gets_nothing_of_it(app: App) -> None:
    reply = app.stranger.post("/report.html", json={"items": app.items})
    assert (reply.status_code, reply.text) == (
        400, "What this report was about is gone: choose other regions.",
    )  # fmt: skip


def test_a_list_is_told_what_of_it_is_there_for_who_looks(app: App) -> None:
    gone = {**app.items[0], "mark": "gone"}
    asked = {"items": [app.items[0], gone, None, app.items[2]] * MOST_CLIPPINGS}
    there = app.client.post("/report.json", json=asked).json()
    assert there == [at for at in range(4 * MOST_CLIPPINGS) if at % 4 in (0, 3)]
    assert app.stranger.post("/report.json", json=asked).json() == []


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "as JSON"),
        (b"[" * 100_000, "as JSON"),
        (b'{"items": 3}', "as JSON"),
        (b'{"items": []}', "choose other regions"),
        (b'{"items": [null, 7, {"finding": {}}]}', "choose other regions"),
        (b" " * 1_000_001, "at most 200 entries"),
    ],
)
def test_what_is_no_list_of_regions_is_refused(app: App, body: bytes, sentence: str) -> None:
    reply = app.client.post("/report.html", content=body)
    assert reply.status_code == 400
    assert sentence in reply.text


def test_too_many_entries_and_other_kinds_are_refused(app: App) -> None:
    many = {"items": app.items * MOST_CLIPPINGS}
    assert "at most 200 entries, found 800" in app.client.post("/report.pdf", json=many).text
    assert "html or pdf" in app.client.post("/report.docx", json={"items": app.items}).text


def test_a_report_holds_few_pictures_at_a_time_and_opens_each_once(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hundred pages of 50 megapixels would be 30 GB."""
    opened: list[weakref.ref[Image.Image]] = []
    most = 0
    real = Bench.picture

    def picture(bench: Bench, owner: str, sheet: str, key: str) -> Picture:
        nonlocal most
        found = real(bench, owner, sheet, key)
        opened.append(weakref.ref(found.pixels))
        gc.collect()
        most = max(most, sum(each() is not None for each in opened))
        return found

    monkeypatch.setattr(Bench, "picture", picture)
    items = [item for item in app.items for _ in range(3)]
    assert app.client.post("/report.html", json={"items": items}).status_code == 200
    assert len(opened) == 4, "one for each page, whatever is shown of it"
    assert most <= 2
