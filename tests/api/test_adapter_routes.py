"""Adapters over HTTP: who may use one downloads it, and anybody brings one of their own."""

from __future__ import annotations

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from tests.finetune.app import engine
from vlm_app import limits
from vlm_app.api import adapter_routes
from vlm_app.api.middleware import SecurityHeaders, Visitors
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.engine.attaching import CONFIG, WEIGHTS
from vlm_app.finetune.adapters import Adapters, kept
from vlm_app.settings import settings
from vlm_app.store import Store

HERE = ("127.0.0.1", 50000)  # at a laptop: an admin


class App:
    """The routes with two visitors."""

    def __init__(self) -> None:
        self.adapters = Adapters(Store(settings().data), engine())
        owners = Owners(settings().data)
        app = Starlette(
            routes=adapter_routes.adapter_routes(self.adapters),
            middleware=[Middleware(SecurityHeaders), Middleware(Visitors, owners=owners)],
        )
        self.client, self.stranger = (
            TestClient(app, "http://localhost", client=HERE, cookies={COOKIE: owners.new()[1]})
            for _ in range(2)
        )


@pytest.fixture
def app() -> App:
    return App()


def zipped(width: int = 8, **settings: object) -> bytes:
    """What PEFT saves for Pebble; its one layer need not exist to be carried about."""
    config = {"peft_type": "LORA", "base_model_name_or_path": "pebble", "r": 4, "target_modules": ["q_proj"]}
    config |= settings
    weights = save({"base_model.model.q_proj.lora_A.weight": np.zeros((4, width), np.float32)})
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(CONFIG, json.dumps(config))
        archive.writestr(WEIGHTS, weights)
    return file.getvalue()


def arrived() -> list[Path]:
    return list((settings().data / "cache" / "adapters").glob(".*"))


def test_an_adapter_is_brought_and_downloaded_by_its_owner_only(app: App) -> None:
    brought = app.client.post("/adapter?name=My%20hearts.zip", content=zipped())
    assert brought.status_code == 200
    id = brought.json()["id"]
    answer = app.client.get(f"/adapter/{id}")
    assert answer.status_code == 200
    assert 'filename="my-hearts.zip"' in answer.headers["content-disposition"]
    assert answer.headers["cache-control"] == "no-store"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert set(archive.namelist()) == {WEIGHTS, CONFIG, "README.md", "card.json"}
    for missing in (app.stranger.get(f"/adapter/{id}"), app.client.get("/adapter/..%2Fsecret")):
        assert missing.status_code == 404
    assert arrived() == []


@pytest.mark.parametrize(("body", "words"), [(b"", "no zip"), (b"PK\x03\x04 and no more", "damaged")])
def test_what_is_no_adapter_is_a_sentence_and_leaves_nothing(app: App, body: bytes, words: str) -> None:
    answer = app.client.post("/adapter?name=x.zip", content=body)
    assert answer.status_code == 400 and words in answer.text
    assert app.adapters.of(None) == () and arrived() == []


@pytest.mark.parametrize("base", ["/a\0b/pebble", "a\ud800b"])
def test_a_base_that_is_no_name_is_a_sentence(app: App, base: str) -> None:
    answer = app.client.post("/adapter?name=x.zip", content=zipped(base_model_name_or_path=base))
    assert answer.status_code in (400, 503) and "adapter" in answer.text


def test_settings_that_are_nested_without_end_are_a_sentence(app: App) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(CONFIG, '{"a":' * 100_000)
        archive.writestr(WEIGHTS, b"")
    answer = app.client.post("/adapter?name=x.zip", content=file.getvalue())
    assert answer.status_code in (400, 503) and "object of JSON" in answer.text


def test_one_without_its_weights_is_told_so(app: App) -> None:
    id = app.client.post("/adapter?name=x.zip", content=zipped()).json()["id"]
    (settings().data / "adapters" / id / WEIGHTS).unlink()
    answer = app.client.get(f"/adapter/{id}")
    assert answer.status_code in (400, 503) and WEIGHTS in answer.text


def test_what_comes_out_of_a_zip_counts_at_once(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    member = replace(limits.of("anybody"), disk=500_000)
    monkeypatch.setattr(limits, "of", lambda owner: member)
    body = zipped(width=15_000)
    answers = [app.client.post("/adapter?name=x.zip", content=body) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 413], "of 240 kB each 500 hold two"
    assert len(app.adapters.of(None)) == 2


def test_two_who_download_one_adapter_at_once_get_it_whole(app: App) -> None:
    id = app.client.post("/adapter?name=x.zip", content=zipped()).json()["id"]
    for packed in (settings().data / "cache" / "adapters").glob("*.zip"):
        packed.unlink()
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(lambda _: app.client.get(f"/adapter/{id}"), range(8)):
            assert answer.status_code == 200
            assert zipfile.ZipFile(io.BytesIO(answer.content)).testzip() is None
    assert arrived() == []


def test_one_that_is_too_large_is_refused_while_it_comes(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 100)
    answer = app.client.post("/adapter?name=x.zip", content=zipped())
    assert answer.status_code == 413 and "at most" in answer.text
    assert arrived() == []
