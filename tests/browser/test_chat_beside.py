"""Another model on the page, and answers beside one another, with an engine that answers by script."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import expect

from tests.browser.drawn import draw, picture
from tests.browser.visitor import Visitor

__all__ = ["picture"]


def test_likely_wrong_answer_is_marked_and_another_model_is_one_click_away(visitor: Visitor) -> None:
    answer = visitor.ask("a photo, is it?")
    expect(answer.locator(".warning")).to_contain_text(
        "Pebble only knows drawn shapes; this answer is likely wrong."
    )
    visitor.press("Ask SmolVLM2 500M instead", answer)
    expect(visitor.page.locator(".side.going .writer")).to_contain_text("SmolVLM2 500M")
    expect(visitor.page.locator("#model input")).to_have_value("SmolVLM2 500M")


def test_what_another_model_would_not_get_is_said_before_sending(visitor: Visitor, tmp_path: Path) -> None:
    files = [draw(tmp_path / f"{colour}.png", colour) for colour in ("red", "blue", "green")]
    visitor.ask("what is there?", *files[:2])
    expect(visitor.notice).to_have_count(0)
    visitor.choose_model("LLaVA 1.5 7B")
    expect(visitor.notice).to_have_text("LLaVA 1.5 7B takes 1 image: the earlier image would be left out.")
    visitor.attach(files[2])
    expect(visitor.notice).to_have_text("LLaVA 1.5 7B takes 1 image: the 2 earlier images would be left out.")
    visitor.write("what is there?")
    visitor.send()
    expect(visitor.answers).to_have_count(2)
    third = visitor.questions.last.locator(".thumbnail").get_attribute("href")
    assert visitor.answers.last.locator(".overlay img").get_attribute("src") == third
    expect(visitor.answers.last.locator("figcaption")).to_contain_text("Image 3")
    expect(visitor.notice).to_have_text("LLaVA 1.5 7B takes 1 image: the 2 earlier images would be left out.")
    visitor.choose_model("Pebble")
    expect(visitor.notice).to_have_count(0)


def test_a_model_without_a_past_says_so_before_sending(visitor: Visitor, picture: Path) -> None:
    visitor.ask("what is there?", picture)
    visitor.choose_model("Florence-2 base")
    expect(visitor.notice).to_have_text(
        "Florence-2 base reads only the last message: earlier messages would be left out, "
        "but for the last image."
    )
    visitor.press("New chat")
    expect(visitor.notice).to_have_count(0)


def test_a_second_answer_stands_beside_the_first(visitor: Visitor, picture: Path) -> None:
    visitor.ask("what is there?", picture)
    visitor.ask_again_with("SmolVLM2 500M")
    expect(visitor.sides).to_have_count(2)
    expect(visitor.sides.locator(".foot")).to_have_count(2)
    expect(visitor.sides.locator(".writer")).to_have_text(["Pebble fp32", "SmolVLM2 500M fp32"])
    expect(visitor.sides.locator(".overlay img")).to_have_count(2)
    corners = "all => all.map(each => each.getBoundingClientRect()).map(at => [at.left, at.top, at.right])"
    (_, top, right), (left, other_top, _) = visitor.sides.evaluate_all(corners)
    assert top == other_top and right <= left
    visitor.point_at(visitor.sides.nth(1).locator(".phrase").nth(1), visitor.page.locator("g.region.lit"))
    drawn = visitor.sides.nth(1).get_by_role("link", name="picture with regions").get_attribute("href")
    assert visitor.page.request.get(f"{visitor.url}{drawn}", max_retries=3).ok
    expect(visitor.page.locator("#model input")).to_have_value("Pebble")
    visitor.page.reload()
    expect(visitor.sides).to_have_count(2)
    assert visitor.errors == []


def test_answers_are_stacked_on_a_phone(visitor: Visitor) -> None:
    visitor.ask("hello")
    visitor.ask_again_with("SmolVLM2 500M")
    expect(visitor.sides.locator(".foot")).to_have_count(2)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    corners = "all => all.map(each => each.getBoundingClientRect()).map(at => [at.left, at.top, at.bottom])"
    (left, _, bottom), (other_left, other_top, _) = visitor.sides.evaluate_all(corners)
    assert left == other_left and bottom <= other_top
    assert visitor.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_chat_goes_on_with_the_answer_that_was_kept(visitor: Visitor, picture: Path) -> None:
    visitor.ask("what is there?", picture)
    visitor.ask_again_with("SmolVLM2 500M")
    visitor.press("Continue with this one", visitor.sides.nth(1))
    expect(visitor.sides.nth(1)).to_contain_text("The chat goes on with this answer.")
    expect(visitor.sides.nth(0).get_by_role("button", name="Continue with this one")).to_be_visible()
    expect(visitor.page.locator("#model input")).to_have_value("SmolVLM2 500M")
    answer = visitor.ask("hello")
    expect(answer.locator(".saw summary")).to_contain_text("SmolVLM2 500M")
    expect(visitor.sides).to_have_count(0)
    expect(visitor.answers.first.locator(".saw summary")).to_contain_text("SmolVLM2 500M")
    expect(visitor.answers.first.locator(".switcher")).to_contain_text("2/2")


def test_sending_without_a_choice_goes_on_with_the_first_answer(visitor: Visitor) -> None:
    visitor.ask("hello")
    visitor.ask_again_with("SmolVLM2 500M")
    expect(visitor.sides.locator(".foot")).to_have_count(2)
    answer = visitor.ask("and now?")
    expect(answer.locator(".saw summary")).to_contain_text("Pebble")
    expect(visitor.answers.first.locator(".saw summary")).to_contain_text("Pebble")


def test_stop_ends_the_second_answer_and_leaves_the_first(visitor: Visitor) -> None:
    visitor.write("answer slowly")
    visitor.send()
    expect(visitor.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
    visitor.page.click("#message .stop-button")
    expect(visitor.answers.last).to_contain_text("Stopped.")
    first = visitor.answers.last.locator(".prose-text").inner_text()
    visitor.ask_again_with("SmolVLM2 500M")
    expect(visitor.page.locator(".side.live .prose-text")).to_contain_text("slowly: 1")
    visitor.page.click("#message .stop-button")
    expect(visitor.sides.nth(1)).to_contain_text("Stopped.")
    expect(visitor.sides.nth(0).locator(".prose-text")).to_have_text(first)
    expect(visitor.sides.nth(0)).to_contain_text("The chat goes on with this answer.")


def test_answers_of_the_same_model_are_switched_in_place(visitor: Visitor) -> None:
    answer = visitor.ask("hello")
    expect(answer.locator(".switcher")).to_have_count(0)
    visitor.press("Regenerate", answer)
    expect(visitor.answers.last.locator(".switcher")).to_contain_text("2/2")
    visitor.press("Previous answer", visitor.answers.last)
    expect(visitor.answers.last.locator(".switcher")).to_contain_text("1/2")
    visitor.page.reload()
    expect(visitor.answers.last.locator(".switcher")).to_contain_text("1/2")
    visitor.press("Next answer", visitor.answers.last)
    expect(visitor.answers.last.locator(".switcher")).to_contain_text("2/2")
