"""From an empty data folder to the first answer of a model that was just downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor
from tests.families import checkpoints
from tests.hub.fake_hub import FakeHub, Repo, serving
from vlm_app.settings import ROOT

REPO, COMMIT = "acme/tiny-smolvlm", "7" * 40
CATALOG = f"""
[pebble]
name = "Pebble"
family = "pebble"
folder = "pebble"
tasks = ["chat", "caption", "detect"]
parameters = 8_720_128
licence = "Apache-2.0"
permissive = true

[tiny]
name = "Tiny"
family = "smolvlm"
repo = "{REPO}"
tasks = ["chat", "caption", "ocr"]
parameters = 300_000
licence = "Apache-2.0"
permissive = true
knows = "Nothing yet: its weights are random."
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    """A Hub with a real checkpoint, too small to know anything, that takes some seconds to come."""
    folder = Path(checkpoints.checkpoint("smolvlm"))
    files = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with serving() as fake:
        fake.repos[REPO] = Repo({COMMIT: files}, tags=["license:apache-2.0", "smolvlm"], parameters=300_000)
        fake.pause = 0.5
        yield fake


@pytest.fixture
def first(tmp_path: Path, hub: FakeHub) -> Iterator[Server]:
    """The app as everybody starts it, with nothing on the disk but Pebble."""
    models = tmp_path / "models"
    models.mkdir()
    (models / "catalog.toml").write_text(CATALOG, encoding="utf-8")
    (models / "pebble").symlink_to(ROOT / "models" / "pebble")
    network = {
        "HF_ENDPOINT": hub.address,
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": "",
        "VLM_APP_MODELS": str(models),
    }
    with served(tmp_path / "data", "app.py", **network) as server:
        yield server


def test_offered_model_is_downloaded_by_one_click_and_answers(
    first: Server, hub: FakeHub, context: BrowserContext, tmp_path: Path
) -> None:
    visitor = Visitor.come(context, first.url)
    offer = visitor.page.locator('.offers li[data-model="tiny"]')
    expect(offer).to_contain_text("to download")
    expect(offer).to_contain_text("Apache-2.0")
    assert not [path for path in hub.asked if "resolve" in path]
    offer.get_by_role("button", name="Download and chat: Tiny").click()
    expect(visitor.page.locator("#model input")).to_have_value("Tiny")
    expect(offer.get_by_role("progressbar")).to_be_visible()
    expect(visitor.page.locator("#chip .chip")).to_contain_text("downloading")
    expect(visitor.page.locator("#chip .chip")).to_contain_text("ready")
    expect(offer).to_contain_text("loaded")
    Image.new("RGB", (64, 48), "red").save(tmp_path / "red.png")
    answer = visitor.ask("What is this?", tmp_path / "red.png")
    expect(answer.locator(".saw summary")).to_contain_text("Tiny")
    expect(answer.locator(".failed")).to_have_count(0)
    assert visitor.elsewhere == []
    assert (first.data / "cache" / "hub").is_dir()
