"""Teaching in the chat, in a browser: thumbs, a correction, a choice between two answers, a dataset."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Locator, expect

from tests.browser.visitor import Visitor


def under(answer: Locator) -> Locator:
    """The line that says what an answer became."""
    return answer.locator(".taught p")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (300, 200), "steelblue").save(path)
    return path


@pytest.fixture
def answer(visitor: Visitor, picture: Path) -> Locator:
    return visitor.ask("what is there?", picture)


def test_thumb_says_where_the_example_is_and_is_taken_back_after_a_reload(
    visitor: Visitor, answer: Locator
) -> None:
    visitor.press("Good answer", answer)
    expect(visitor.sentence).to_contain_text("in My corrections: 1 example")
    expect(under(answer)).to_contain_text("Approved · in My corrections")
    visitor.page.reload()
    expect(under(answer)).to_contain_text("Approved")
    visitor.press("Take back", answer)
    expect(under(answer)).to_have_count(0)
    thumb = answer.get_by_role("button", name="Good answer")
    expect(thumb).to_have_attribute("aria-pressed", "false")
    visitor.press("Bad answer", answer)
    expect(under(answer)).to_contain_text("Rejected")
    assert visitor.errors == []


def test_words_are_corrected_in_place(visitor: Visitor, answer: Locator) -> None:
    visitor.press("Correct…", answer)
    field = answer.get_by_label("The right answer")
    expect(field).to_have_value("There is a red circle left of a blue square, one star and a triangle.")
    expect(answer.locator(".prose-text")).to_be_hidden()
    visitor.page.keyboard.press("Escape")
    expect(answer.locator(".prose-text")).to_be_visible()
    visitor.press("Correct…", answer)
    visitor.press("Keep correction", answer)
    expect(visitor.sentence).to_contain_text("same as before")
    field.fill("<b>Only</b> a star.")
    visitor.press("Keep correction", answer)
    expect(answer.locator(".correction")).to_have_text("<b>Only</b> a star.")
    expect(under(answer)).to_contain_text("Corrected")
    expect(field).to_have_count(0)
    visitor.page.reload()
    expect(answer.locator(".correction")).to_have_text("<b>Only</b> a star.")
    assert visitor.errors == []


def test_a_correction_that_is_kept_leaves_the_others_open(visitor: Visitor, answer: Locator) -> None:
    visitor.ask("hello")
    answer, other = visitor.answers.first, visitor.answers.last
    visitor.press("Correct…", answer)
    answer.get_by_label("The right answer").fill("Half of a")
    visitor.press("Correct…", other)
    other.get_by_label("The right answer").fill("Hello!")
    visitor.press("Keep correction", other)
    expect(other.locator(".correction")).to_have_text("Hello!")
    expect(other.get_by_label("The right answer")).to_have_count(0)
    expect(answer.get_by_label("The right answer")).to_have_value("Half of a")


def test_places_are_corrected_on_the_workbench_with_the_old_ones_kept(
    visitor: Visitor, picture: Path
) -> None:
    answer = visitor.ask("star", picture, task="Detect")
    visitor.press("Correct…", answer)
    expect(
        visitor.page.locator("#bench vlm-overlay g.region, #bench vlm-overlay [data-key]").first
    ).to_be_attached()
    expect(visitor.page.locator("#bench .bench-found")).to_contain_text("There is a red circle")


def test_an_answer_that_found_nothing_can_be_given_places(visitor: Visitor, picture: Path) -> None:
    answer = visitor.ask("hello", picture)
    visitor.press("Correct…", answer)
    visitor.press("Correct its places on the workbench", answer)
    expect(visitor.page.locator("#bench .bench-found")).to_contain_text("You said: hello")


def test_one_of_two_answers_is_better(visitor: Visitor, picture: Path) -> None:
    answer = visitor.ask("what is there?", picture)
    expect(answer.get_by_role("button", name="This one is better")).to_have_count(0)
    visitor.ask_again_with("SmolVLM2 500M")
    sides = visitor.sides
    expect(sides.locator(".better")).to_have_count(2)
    visitor.press("This one is better", sides.last)
    expect(visitor.sentence).to_contain_text("are the same")


def test_examples_go_to_the_dataset_that_is_chosen(visitor: Visitor, answer: Locator) -> None:
    visitor.press("Good answer", answer)
    under(answer).get_by_role("button", name="My corrections ⌄").click()
    expect(visitor.page.locator("#teach-datasets button")).to_have_text(["My corrections"])
    visitor.page.get_by_label("Name of a new dataset").last.fill("Hearts")
    visitor.page.keyboard.press("Enter")
    expect(under(answer)).to_contain_text("in Hearts")
    second = visitor.ask("what is there now?")
    visitor.press("Bad answer", second)
    expect(under(second)).to_contain_text("Rejected · in Hearts")  # the browser remembers it
    assert visitor.errors == []


def test_link_leads_to_fine_tuning(visitor: Visitor, answer: Locator) -> None:
    visitor.press("Good answer", answer)
    visitor.sentence.get_by_text("Fine-tune").click()
    tab = visitor.page.get_by_role("tab", name="Fine-tune")
    expect(tab).to_have_attribute("aria-selected", "true")
