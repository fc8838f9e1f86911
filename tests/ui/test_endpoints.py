"""`/export` as another program asks for it: the real server on the loopback, Pebble, and Gradio's client."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.browser.conftest import Server, served
from vlm_app.grounding.formats import FORMATS, imported
from vlm_app.people import Person, Role
from vlm_app.settings import ROOT
from vlm_app.types import Answer, Box, Delta, Request
from vlm_app.ui.endpoints import Endpoints
from vlm_app.ui.running import Running

SCENE = ROOT / "assets" / "examples" / "shapes.png"
SIGN = ROOT / "assets" / "examples" / "signs.png"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("endpoints") / "data", "app.py") as started:
        yield started


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    downloads = tmp_path_factory.mktemp("downloads")
    yield Client(server.url, download_files=str(downloads), verbose=False)


def export(client: Client, image: Path | None, *words: str, **named: str) -> Path:
    given = handle_file(image) if image else None
    return Path(client.predict(given, *words, api_name="/export", **named))


def test_a_picture_goes_in_and_its_regions_come_out_as_a_file(client: Client) -> None:
    path = export(client, SCENE, "coco", task="detect", query="everything")
    assert path.name == f"{SCENE.stem}.json"
    back = imported(path.read_bytes(), "coco")
    assert back.images[0].name == SCENE.name
    assert back.regions and all(isinstance(region.shape, Box) for region in back.regions)


def test_the_format_alone_is_enough(client: Client) -> None:
    data = json.loads(export(client, SCENE).read_bytes())
    assert (data["format"], data["model"], data["task"]) == ("vlm-app/regions", "pebble", "detect")


def test_text_is_read_by_the_model_that_reads_real_pages(client: Client) -> None:
    data = json.loads(export(client, SIGN, task="ocr_regions").read_bytes())
    assert data["model"] == "rapidocr" and data["task"] == "ocr_regions" and data["regions"]


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_every_format_is_there(client: Client, format: str) -> None:
    path = export(client, SIGN, format, task="ocr-regions", model="pebble")
    assert path.suffix == FORMATS[format].suffix and path.stat().st_size > 5


@pytest.mark.parametrize(
    ("image", "words", "sentence"),
    [
        (SCENE, {"format": "docx"}, r"There is no export format 'docx'; choose one of: json, coco"),
        (SCENE, {"task": "dream"}, r"There is no task 'dream'; choose one of: chat"),
        (SCENE, {"task": "segment"}, r"Pebble cannot do 'segment'; it can do: chat"),
        (SCENE, {"model": "nobody/nothing"}, r"nobody/nothing"),
        (ROOT / "README.md", {}, r"README\.md"),
        (None, {}, r"An image is expected, found none"),
    ],
    ids=["no such format", "no such task", "not its task", "no such model", "no image", "nothing"],
)
def test_what_cannot_be_done_is_told_in_a_sentence(
    client: Client, image: Path | None, words: dict[str, str], sentence: str
) -> None:
    with pytest.raises(AppError, match=sentence) as told:
        export(client, image, **words)
    assert "Traceback" not in str(told.value)


class Noting:
    """An engine that notes who asks."""

    def __init__(self) -> None:
        self.owners: list[str | None] = []

    def models(self) -> tuple[()]:
        return ()

    def answer(self, request: Request, stop: Event) -> Iterator[Delta]:
        self.owners.append(request.owner)
        yield Delta(answer=Answer("A scene."))


def test_a_model_remembers_a_picture_as_that_of_whoever_sent_it(tmp_path: Path) -> None:
    engine: Any = Noting()
    endpoints = Endpoints(engine, Running())
    endpoints.cache = tmp_path
    for owner in ("ann", "bob"):
        visit = SimpleNamespace(person=Person(owner, "", Role.ADMIN))
        request: Any = SimpleNamespace(state=SimpleNamespace(visit=visit))
        endpoints.export(request, {"path": str(SCENE)})
    assert engine.owners == ["ann", "bob"]


def posted(server: Server, path: str) -> str:
    """What the server answers to a path that no client has uploaded first."""
    data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, "json", "detect", "", "", "auto"]
    call = f"{server.url}/gradio_api/call/export"
    headers = {"Content-Type": "application/json"}
    asked = urllib.request.Request(call, json.dumps({"data": data}).encode(), headers)
    with urllib.request.urlopen(asked, timeout=60) as answer:
        id = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{call}/{id}", timeout=60) as stream:
        return stream.read().decode()


@pytest.mark.parametrize("path", [str(SCENE), "/etc/passwd", "../../app.db", "http://127.0.0.1:1/a.png"])
def test_a_file_of_the_server_is_not_read_and_no_address_is_fetched(server: Server, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        posted(server, path)
    assert refused.value.code == 404
    told = json.load(refused.value)
    assert told["detail"] == "This is no file that you uploaded: upload it again."


def test_nothing_is_kept_but_uploads_that_are_deleted_after_a_day(client: Client, server: Server) -> None:
    before = {path for path in server.data.rglob("*") if path.is_file()}
    export(client, SCENE, "png")
    new = {path for path in server.data.rglob("*") if path.is_file()} - before
    uploads, whose = server.data / "cache" / "uploads", server.data / "cache" / "uploaders"
    new = {path for path in new if not path.is_relative_to(whose)}  # empty files, which go with them
    assert all(path.is_relative_to(uploads) for path in new)
    assert sum(path.suffix == ".png" for path in new) >= 1 and all(path.stat().st_size for path in new)


def test_the_example_of_the_documentation_runs(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "exports.md").read_text()
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scene.png").write_bytes(SCENE.read_bytes())
    names: dict[str, Any] = {}
    exec(example.replace("http://127.0.0.1:7860", server.url), names)
    assert imported((tmp_path / "found.json").read_bytes(), "coco").regions
