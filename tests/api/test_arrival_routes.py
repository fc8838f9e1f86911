"""Datasets over HTTP: they come in pieces, for their owner only."""

from __future__ import annotations

import io
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from vlm_app.api.arrival_routes import arrival_routes
from vlm_app.api.middleware import SecurityHeaders, Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.finetune.arrival import Stage
from vlm_app.finetune.arrivals import Arrivals
from vlm_app.finetune.examples import Examples
from vlm_app.store import Store


class App:
    """The routes with a store of their own, and visitors."""

    def __init__(self, folder: Path) -> None:
        self.examples = Examples(Store(folder / "data"))
        self.arrivals = Arrivals(self.examples)
        self.owners = Owners(folder / "data")
        self.app = Starlette(
            routes=arrival_routes(self.arrivals),
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=self.owners)],
        )

    def visitor(self) -> tuple[TestClient, str]:
        owner, cookie = self.owners.new()
        return TestClient(self.app, base_url="http://localhost", cookies={COOKIE: cookie}), owner


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path)
    yield made
    made.arrivals.close()


def dataset() -> bytes:
    file, picture = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (60, 40), "red").save(picture, "PNG")
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.png", picture.getvalue())
        archive.writestr("rows.csv", "image,task,query,answer\na.png,chat,What is it?,A square.\n")
    return file.getvalue()


def test_dataset_is_sent_and_kept(app: App) -> None:
    client, owner = app.visitor()
    data = dataset()
    begun = client.post("/arrivals", params={"name": "mine.zip", "total": len(data)})
    id = begun.json()["id"]
    assert client.put(f"/arrivals/{id}/file", params={"name": "mine.zip"}, content=data).status_code == 204
    assert client.post(f"/arrivals/{id}/came").status_code == 200
    for _ in range(1000):
        now = app.arrivals.of(owner)
        if now and now.stage is Stage.DONE:
            break
        time.sleep(0.02)
    assert now is not None
    assert (now.bytes, now.report.added) == (len(data), 1)
    assert [each.name for each in app.examples.datasets(owner)] == ["mine"]


def test_strangers_and_other_sites_send_nothing(app: App) -> None:
    client, _ = app.visitor()
    id = client.post("/arrivals", params={"name": "mine.zip"}).json()["id"]
    stranger, _ = app.visitor()
    assert stranger.put(f"/arrivals/{id}/file", params={"name": "x"}, content=b"x").status_code == 404
    assert stranger.post(f"/arrivals/{id}/came").status_code == 404
    nobody = TestClient(app.app, base_url="http://localhost")
    assert nobody.post("/arrivals", params={"name": "mine.zip"}).status_code == 404
    foreign = {"origin": "https://elsewhere.invalid"}
    assert client.post("/arrivals", params={"name": "x"}, headers=foreign).status_code == 403


def test_impossible_requests_get_a_sentence(app: App) -> None:
    client, _ = app.visitor()
    for total in ("-1", "many", "9" * 20, "٣"):
        answer = client.post("/arrivals", params={"name": "x", "total": total})
        assert answer.status_code == 400
        assert "bytes" in answer.text
    assert client.post("/arrivals", params={"name": "x", "total": 10**14}).status_code == 400
    id = client.post("/arrivals", params={"name": "x"}).json()["id"]
    assert "No file has come" in client.post(f"/arrivals/{id}/came").text
    assert "still on its way" in client.post("/arrivals", params={"name": "y"}).text
