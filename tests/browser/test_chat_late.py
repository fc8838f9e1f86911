"""The chat where what the server sends comes late, all at once, or in another order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.browser.drawn import draw, picture
from tests.browser.visitor import PATIENCE, Visitor

__all__ = ["picture"]

HEARD = """() => {
    const show = window.vlmLeft;
    window.heard = [];
    window.vlmLeft = (text) => { const html = show(text); window.heard.push(text); return html; };
}"""


@contextmanager
def all_at_once(visitor: Visitor) -> Iterator[None]:
    """The steps of an answer reach the browser together, as they do where it is busy."""
    visitor.page.route(
        "**/gradio_api/queue/data*", lambda route: route.fulfill(response=route.fetch(timeout=PATIENCE))
    )
    yield
    visitor.page.unroute_all(behavior="ignoreErrors")


def test_what_was_sent_leaves_the_box_where_all_steps_come_at_once(visitor: Visitor, picture: Path) -> None:
    with all_at_once(visitor):
        visitor.ask("what is there?", picture)
    expect(visitor.page.locator("#message textarea")).to_have_value("")
    expect(visitor.page.locator("#message .thumbnail-item")).to_have_count(0)
    expect(visitor.page.locator("#message .submit-button")).to_be_visible()
    visitor.choose_model("Florence-2 base")
    expect(visitor.notice).to_have_text(
        "Florence-2 base reads only the last message: earlier messages would be left out, "
        "but for the last image."
    )


def test_a_picture_sent_without_a_word_counts_no_more(visitor: Visitor, tmp_path: Path) -> None:
    visitor.attach(draw(tmp_path / "first.png", "red"))
    visitor.send()
    expect(visitor.answers).to_have_count(1)
    visitor.choose_model("Florence-2 base")
    expect(visitor.notice).to_contain_text("but for the last image")
    visitor.attach(draw(tmp_path / "second.png", "blue"))
    expect(visitor.notice).to_contain_text("earlier messages and their images would be left out.")


def test_a_notice_that_was_overtaken_is_not_shown(visitor: Visitor, tmp_path: Path) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        asked = route.request.post_data or ""
        if "llava-1.5-7b" in asked and '"files"' in asked:
            held.append(route)
        else:
            route.continue_()

    page = visitor.page
    visitor.ask("what is there?", *(draw(tmp_path / f"{each}.png", each) for each in ("red", "blue")))
    page.evaluate(HEARD)
    page.route("**/gradio_api/run/predict*", hold)
    visitor.choose_model("LLaVA 1.5 7B")
    visitor.choose_model("Pebble")
    page.wait_for_function("heard.length > 0")
    assert held
    before = page.evaluate("heard.length")
    for route in held:
        route.continue_()
    page.wait_for_function(f"heard.length >= {before + len(held)}")
    expect(visitor.notice).to_have_count(0)


def test_a_phrase_stays_lit_where_its_answer_is_drawn_anew(visitor: Visitor, picture: Path) -> None:
    visitor.page.set_viewport_size({"width": 1280, "height": 1600})  # nothing scrolls away from the mouse
    answer = visitor.ask("what is there?", picture)
    phrase, lit = answer.locator(".phrase").nth(1), answer.locator("g.region.lit")
    phrase.hover()
    expect(lit).to_have_attribute("aria-label", "blue square")
    good = answer.get_by_role("button", name="Good answer")
    good.evaluate("button => button.click()")  # the mouse rests on the phrase
    expect(good).to_have_attribute("aria-pressed", "true")
    expect(lit).to_have_attribute("aria-label", "blue square")
    phrase.evaluate("phrase => phrase.replaceWith(phrase.cloneNode(true))")
    expect(lit).to_have_attribute("aria-label", "blue square")
    visitor.page.mouse.move(0, 0)
    expect(lit).to_have_count(0)
    assert answer.locator(".has-lit").count() == 0
