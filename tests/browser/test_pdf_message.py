"""A PDF is dropped into the chat's message box."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.media.pdf_files import FOUR_CORNERS, many_pages


def document(folder: Path, pages: int) -> Path:
    path = folder / "invoice.pdf"
    path.write_bytes(many_pages([FOUR_CORNERS] * pages))
    return path


def test_a_pdf_in_a_message_becomes_its_pages(visitor: Visitor, tmp_path: Path) -> None:
    visitor.ask("How many squares are there?", document(tmp_path, 2))
    question = visitor.questions.last
    expect(question.locator("img")).to_have_count(2)
    expect(question).to_contain_text("Page 1 of invoice.pdf:")
    expect(question).to_contain_text("Page 2 of invoice.pdf:")
    expect(visitor.chats.first).to_contain_text("How many squares are there?")
    assert not visitor.errors


def test_a_pdf_with_too_many_pages_is_refused_and_nothing_typed_is_lost(
    visitor: Visitor, tmp_path: Path
) -> None:
    visitor.attach(document(tmp_path, 9))
    visitor.write("What is due?")
    visitor.send()
    expect(visitor.sentence).to_contain_text("9 pages, more than the 8 images that a message holds")
    expect(visitor.sentence).to_contain_text("Workbench")
    expect(visitor.page.locator("#message textarea")).to_have_value("What is due?")
    expect(visitor.page.locator("#message .thumbnail-item")).to_have_count(1)
    expect(visitor.page.locator(".welcome")).to_be_visible()


def test_a_broken_pdf_is_said_by_its_name(visitor: Visitor, tmp_path: Path) -> None:
    path = document(tmp_path, 2)
    path.write_bytes(b"%PDF-1.7\nnothing more")
    visitor.attach(path)
    visitor.write("What is due?")
    visitor.send()
    expect(visitor.sentence).to_contain_text("“invoice.pdf” is damaged or cut off")
    expect(visitor.page.locator("#message textarea")).to_have_value("What is due?")
