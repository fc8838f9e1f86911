"""Files and messages that cannot be used: one sentence, nothing lost, and the chat goes on."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image
from playwright.sync_api import expect

from tests.browser.visitor import Visitor


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _endless(path: Path) -> None:
    """A PNG of 70 bytes that declares 60,000 × 60,000 pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"")) + _chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def _truncated(path: Path) -> None:
    Image.effect_noise((400, 300), 80).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:2000])


BAD = {
    "empty.png": lambda path: path.write_bytes(b""),
    "letter.png": lambda path: path.write_text("Dear reader"),
    "half.jpg": _truncated,
    "endless.png": _endless,
    "page.png": lambda path: path.write_text("<html><script>window.hacked = 1</script></html>"),
}


def test_bad_file_gets_a_sentence_and_nothing_typed_is_lost(visitor: Visitor, tmp_path: Path) -> None:
    visitor.write("what is this?")
    for name, make in BAD.items():
        make(tmp_path / name)
        visitor.attach(tmp_path / name)
        visitor.send()
        expect(visitor.sentence).to_contain_text(name)
        assert "Traceback" not in visitor.sentence.inner_text()
        expect(visitor.page.locator("#message textarea")).to_have_value("what is this?")
        expect(visitor.page.locator("#message .thumbnail-item")).to_have_count(1)
        expect(visitor.page.locator("#message .submit-button")).to_be_visible()
        visitor.page.locator("#message .thumbnail-item button").first.click()
        expect(visitor.page.locator("#message .thumbnail-item")).to_have_count(0)
        visitor.close_toasts()


def test_chat_goes_on_after_a_bad_file(visitor: Visitor, tmp_path: Path) -> None:
    BAD["letter.png"](tmp_path / "letter.png")
    visitor.ask("hello")
    visitor.attach(tmp_path / "letter.png")
    visitor.write("what is this?")
    visitor.send()
    expect(visitor.sentence).to_contain_text("letter.png")
    visitor.page.locator("#message .thumbnail-item button").first.click()
    visitor.ask("never mind")
    expect(visitor.questions).to_have_count(2)


def test_empty_message_is_refused_with_a_sentence(visitor: Visitor) -> None:
    visitor.send()
    expect(visitor.sentence).to_contain_text("empty")
    expect(visitor.page.locator(".welcome")).to_be_visible()


def test_task_without_an_image_says_that_one_is_needed(visitor: Visitor) -> None:
    visitor.choose_task("Detect")
    visitor.write("red circle")
    visitor.send()
    expect(visitor.sentence).to_contain_text("needs an image")
    expect(visitor.page.locator("#message textarea")).to_have_value("red circle")


def test_too_many_images_are_refused_before_they_are_opened(visitor: Visitor, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.png" for number in range(9)]
    for file in files:
        Image.new("RGB", (8, 8)).save(file)
    visitor.attach(*files)
    visitor.write("which?")
    visitor.send()
    expect(visitor.sentence).to_contain_text("at most 8 images")


def test_unknown_chat_in_the_address_gets_a_sentence_and_a_new_chat(visitor: Visitor) -> None:
    visitor.page.goto(f"{visitor.url}/?chat=0123-not-there")
    expect(visitor.sentence).to_contain_text("does not exist")
    expect(visitor.page.locator(".welcome")).to_be_visible()
