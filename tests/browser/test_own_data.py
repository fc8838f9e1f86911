"""A visitor takes their chats along from a place that does not last, and deletes what is kept of them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor


@pytest.fixture(scope="module")
def fleeting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """As on a Space without a bucket."""
    folder = tmp_path_factory.mktemp("fleeting") / "data"
    place = {"VLM_APP_PLACE": "space", "VLM_APP_LASTING": "false", "VLM_APP_MODEL": "pebble"}
    place |= {"GRADIO_TEMP_DIR": str(folder / "cache" / "uploads")}  # as the app itself sets it
    with served(folder, "-m", "tests.browser.fake_app", "PORT", "0.01", **place) as server:
        yield server


def pictures(server: Server) -> int:
    return len(list((server.data / "images").rglob("*.png")))


def test_what_ends_with_the_space_can_be_taken_along_and_deleted(
    fleeting: Server, newcomer: Callable[[str], Visitor], tmp_path: Path
) -> None:
    for name, colour in (("shared", "green"), ("own", "red")):
        Image.new("RGB", (64, 64), colour).save(tmp_path / f"{name}.png")
    visitor, other = newcomer(fleeting.url), newcomer(fleeting.url)
    visitor.ask("what is there?", tmp_path / "shared.png", tmp_path / "own.png")
    other.ask("and what is here?", tmp_path / "shared.png")
    assert pictures(fleeting) == 2

    told = visitor.page.locator("#own-lasting")
    expect(told).to_contain_text("Chats here end with this Space: export all chats to keep them.")
    link = told.get_by_role("link", name="export all chats").get_attribute("href")
    packed = visitor.page.request.get(f"{fleeting.url}{link}", max_retries=3)
    with zipfile.ZipFile(io.BytesIO(packed.body())) as whole:
        assert whole.namelist() == ["001-what-is-there.json"]

    visitor.page.set_viewport_size({"width": 390, "height": 844})
    on_phone = visitor.page.locator("#main .own-lasting").first
    expect(on_phone).to_contain_text("Chats here end with this Space")
    expect(on_phone).to_be_visible()
    visitor.page.set_viewport_size({"width": 1280, "height": 800})
    expect(on_phone).to_be_hidden()

    visitor.press("Delete my data")
    expect(visitor.page.locator("#own-said")).to_contain_text(
        "Really? This deletes 1 chat and 2 uploads, for good."
    )
    visitor.press("Keep it")
    expect(visitor.page.locator("#own-said")).not_to_contain_text("Really?")
    expect(visitor.chats).to_have_count(1)

    visitor.press("Delete my data")
    visitor.press("Delete all of it")
    expect(visitor.page.locator("#own-said")).to_contain_text("Deleted: 1 chat and 2 uploads.")
    expect(visitor.page.locator(".welcome")).to_be_visible()
    expect(visitor.chats).to_have_count(0)
    gone = visitor.page.request.get(f"{fleeting.url}{link}", max_retries=3)  # its connection may be old
    assert gone.status == 404
    assert pictures(fleeting) == 1

    other.page.reload()
    expect(other.answers).to_have_count(1)
    picture = other.page.locator(".thumbnail").get_attribute("href")
    assert other.page.request.get(f"{fleeting.url}{picture}", max_retries=3).status == 200
    assert not visitor.errors and not other.errors


def test_a_laptop_says_nothing_of_it(quick: Server, newcomer: Callable[[str], Visitor]) -> None:
    visitor = newcomer(quick.url)
    expect(visitor.page.get_by_role("button", name="Delete my data")).to_be_visible()
    expect(visitor.page.locator("#own-lasting")).to_have_count(0)
    visitor.press("Delete my data")
    expect(visitor.page.locator("#own-said")).to_contain_text("Nothing is kept here for you.")
    expect(visitor.page.get_by_role("button", name="Delete all of it")).to_have_count(0)
