"""Two visitors of one app never see each other's chats or pictures."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.visitor import Visitor


def test_a_stranger_sees_nothing_of_a_chat(
    visitor: Visitor, newcomer: Callable[[str], Visitor], tmp_path: Path
) -> None:
    Image.new("RGB", (64, 64), "green").save(tmp_path / "a.png")
    answer = visitor.ask("what is there?", tmp_path / "a.png")
    chat = re.findall("chat=([^&]+)", visitor.page.url)[0]
    picture = visitor.page.locator(".thumbnail").get_attribute("href")
    links = [link.get_attribute("href") for link in answer.locator("figcaption a").all()]
    export = [f"/chats/{chat}/export.json", f"/chats/{chat}/export.md"]
    stranger = newcomer(visitor.url)
    for path in (picture, f"{picture}?side=320", *links, *export):
        assert visitor.page.request.get(f"{visitor.url}{path}", max_retries=3).status == 200, path
        refused = stranger.page.request.get(f"{visitor.url}{path}", max_retries=3)
        assert refused.status == 404, path
        assert len(refused.text()) < 200
    expect(stranger.chats).to_have_count(0)
    stranger.page.goto(f"{visitor.url}/?chat={chat}")
    expect(stranger.sentence).to_contain_text("does not exist")
    expect(stranger.page.locator(".welcome")).to_be_visible()
