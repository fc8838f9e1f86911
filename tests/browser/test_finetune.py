"""The whole way: three answers are corrected, a run learns from them, and its adapter is chatted with."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import Server
from tests.browser.visitor import Visitor
from tests.sizes import PAGE_STEPS

LONG = 300_000  # milliseconds: the trainer imports torch in a process of its own, on a busy machine
COLOURS = ("red", "blue", "green")


def drawn(path: Path, colour: str, at: int) -> Path:
    """A circle on white, as Pebble knows them."""
    image = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(image).ellipse((at, at, at + 90, at + 90), fill=colour)
    image.save(path)
    return path


def correct(visitor: Visitor, picture: Path, text: str) -> None:
    """Asks about a picture and writes what the answer should have been."""
    answer = visitor.ask("What do you see?", picture)
    visitor.press("Correct…", answer)
    answer.get_by_label("The right answer").fill(text)
    visitor.press("Keep correction", answer)
    expect(answer.locator(".correction")).to_have_text(text)


def start(page: Page, **settings: int) -> None:
    """Sets what differs from the preset, and starts the run."""
    page.locator(".run-settings summary").click()
    for name, value in settings.items():
        page.locator(f"#run-form [name={name}]").fill(str(value))
    page.locator("#run-form [name=name]").fill("Balls")
    page.get_by_role("button", name="Start", exact=True).click()


@pytest.mark.timeout(900)
def test_three_corrections_become_an_adapter_that_is_chatted_with_beside_its_base(
    real: Server, context: BrowserContext, tmp_path: Path
) -> None:
    visitor = Visitor.come(context, real.url)
    page = visitor.page
    for number, colour in enumerate(COLOURS):
        picture = drawn(tmp_path / f"{colour}.png", colour, 20 + 50 * number)
        correct(visitor, picture, f"A {colour} ball lies there.")
    expect(visitor.sentence.last).to_contain_text("in My corrections: 3 examples")
    visitor.answers.last.get_by_role("button", name="Fine-tune").click()
    expect(page.locator("#run-form [name=dataset] option:checked")).to_contain_text("My corrections")
    often = {"evaluate_every": PAGE_STEPS, "save_every": PAGE_STEPS}
    start(page, steps=PAGE_STEPS, rehearsal=PAGE_STEPS, batch=2, **often)  # Pebble goes on detecting
    expect(page.locator("#run-head")).to_contain_text("Balls")
    page.reload()  # while it runs
    expect(page.locator("#run-head")).to_contain_text("Balls")
    chat = page.get_by_role("button", name="Chat with it")
    expect(chat).to_be_visible(timeout=LONG)
    expect(page.locator("#run-helped")).to_contain_text("Did it help?")
    chat.click()
    expect(page.locator("#chip")).to_contain_text("Balls")
    answer = visitor.ask("red circle", drawn(tmp_path / "other.png", "red", 60), task="Detect")
    expect(answer.locator(".saw summary")).to_contain_text("Balls")
    visitor.press("Beside its base", answer)
    expect(visitor.sides).to_have_count(2)
    expect(visitor.sides.locator("figure")).to_have_count(2)
    expect(visitor.sides.first.locator(".writer")).to_contain_text("Balls")
    expect(visitor.sides.last.locator(".writer")).not_to_contain_text("Balls")
    if PAGE_STEPS >= 30:  # enough to learn a word
        expect(visitor.ask("What do you see?", drawn(tmp_path / "last.png", "red", 40))).to_contain_text(
            "ball"
        )
    assert visitor.errors == []
