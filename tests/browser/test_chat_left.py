"""Leaving what is under way on the page: another chat while an answer grows, another tab, a press that
does not reach the server; nothing that was written is lost, and nothing lands in the wrong chat."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Route, expect

from tests.browser.conftest import served
from tests.browser.visitor import Visitor


@pytest.mark.parametrize("way", ["another chat", "a new chat"])
def test_an_answer_that_is_left_for_another_chat_goes_on_and_is_seen_again(
    regular: Visitor, way: str
) -> None:
    regular.ask("hello in B")
    regular.press("New chat")
    regular.write("answer slowly")
    regular.send()
    growing = regular.page.locator(".turn.live .prose-text")
    expect(growing).to_contain_text("slowly: 1")
    if way == "another chat":
        regular.chats.get_by_role("link", name="hello in B").first.click()
        expect(regular.questions).to_contain_text(["hello in B"])
    else:
        regular.press("New chat")
    regular.page.wait_for_timeout(1000)  # steps of the answer that was left would come now
    expect(regular.page.locator(".turn.live")).to_have_count(0)
    expect(regular.page.locator("#message .stop-button")).to_have_count(0)
    regular.ask("and now?")
    expect(regular.questions.last).to_contain_text("and now?")
    assert "slowly" not in regular.page.locator("#thread").inner_text()
    regular.chats.get_by_role("link", name="answer slowly").first.click()
    expect(growing).to_contain_text("slowly: 1 2 3 4 5 6 7 8 9 10")
    so_far = growing.inner_text()
    expect(growing).not_to_have_text(so_far)
    regular.page.click("#message .stop-button")
    expect(regular.answers).to_have_count(1)
    expect(regular.answers.last).to_contain_text("Stopped.")
    expect(regular.page.locator("#message .submit-button")).to_be_visible()
    assert len(regular.answers.last.locator(".prose-text").inner_text()) > len(so_far)


def test_an_answer_survives_a_reload_and_is_seen_in_two_tabs(
    visitor: Visitor, context: BrowserContext
) -> None:
    visitor.write("answer slowly")
    visitor.send()
    growing = visitor.page.locator(".turn.live .prose-text")
    expect(growing).to_contain_text("slowly: 1")
    visitor.page.reload()
    expect(growing).to_contain_text("slowly: 1 2 3")
    expect(visitor.page.locator("#message textarea")).to_have_value("")
    other = Visitor.come(context, visitor.page.url, "")
    expect(other.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1 2 3")
    other.page.click("#message .stop-button")
    for tab in (visitor, other):
        expect(tab.answers.last).to_contain_text("Stopped.")
        expect(tab.page.locator("#message .submit-button")).to_be_visible()
        assert tab.errors == []


def test_a_chat_that_is_deleted_while_its_answer_grows_leaves_nothing(visitor: Visitor) -> None:
    visitor.write("answer slowly")
    visitor.send()
    expect(visitor.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
    row = visitor.chats.first
    row.hover()
    row.get_by_role("button", name="Delete").first.click()
    row.locator(".confirm").get_by_role("button", name="Delete").click()
    expect(visitor.page.locator(".welcome")).to_be_visible()
    expect(visitor.chats).to_have_count(0)
    visitor.page.wait_for_timeout(500)
    expect(visitor.page.locator(".welcome")).to_be_visible()
    expect(visitor.sentence).to_have_count(0)
    expect(visitor.ask("hello").locator(".prose-text")).to_have_text("You said: hello")


@pytest.mark.parametrize("way", ["the key", "the button"])
def test_what_is_sent_before_the_new_chat_is_there_goes_to_the_new_chat(visitor: Visitor, way: str) -> None:
    visitor.ask("hello in B")
    under_way: list[Route] = []

    def hold(route: Route) -> None:
        if '"act":"new"' in (route.request.post_data or ""):
            under_way.append(route)
        else:
            route.continue_()

    visitor.page.route("**/queue/join*", hold)
    visitor.write("hello in the new one")
    with visitor.page.expect_request("**/queue/join*"):
        visitor.press("New chat")
    if way == "the key":
        visitor.page.press("#message textarea", "Enter")
    else:
        visitor.send()
    visitor.page.wait_for_timeout(500)
    expect(visitor.questions).to_have_text(["hello in B"])
    under_way[0].continue_()
    expect(visitor.questions).to_have_text(["hello in the new one"])
    expect(visitor.answers.last.locator(".prose-text")).to_have_text("You said: hello in the new one")
    expect(visitor.page.locator("#message textarea")).to_have_value("")
    expect(visitor.chats.get_by_role("link")).to_have_text(["hello in the new one", "hello in B"])
    visitor.page.unroute("**/queue/join*")
    visitor.chats.last.get_by_role("link").click()
    expect(visitor.questions).to_have_text(["hello in B"])


def test_closed_tab_ends_its_answer_where_nobody_comes_back(tmp_path: Path, context: BrowserContext) -> None:
    command = ("-m", "tests.browser.fake_app", "PORT", "0.01")
    with served(tmp_path / "data", *command, ALONE="1") as server:
        visitor = Visitor.come(context, server.url)
        visitor.write("answer slowly")
        visitor.send()
        expect(visitor.page.locator(".turn.live .prose-text")).to_contain_text("slowly: 1")
        visitor.page.close()
        later = Visitor.come(context, server.url)
        later.page.wait_for_timeout(6000)  # looking earlier would be coming back
        later.chats.first.get_by_role("link").click()
        expect(later.answers.last).to_contain_text("Stopped.")


def test_an_edit_that_is_not_taken_stays_and_a_word_that_is_chosen_sends_nothing(visitor: Visitor) -> None:
    visitor.ask("first question")
    visitor.questions.first.hover()
    visitor.press("Edit this message", visitor.questions.first)
    field = visitor.questions.first.locator("textarea")
    field.fill("better question")
    field.evaluate(
        "(field) => field.dispatchEvent(new KeyboardEvent('keydown',"
        " {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    visitor.page.route("**/queue/join*", lambda route: route.abort())
    with visitor.page.expect_request("**/queue/join*"):
        visitor.press("Send", visitor.questions.first)
    expect(field).to_have_value("better question")
    visitor.page.unroute("**/queue/join*")
    visitor.page.wait_for_event("load")  # Gradio begins anew when it reaches the server again
    expect(field).to_have_value("better question")
    visitor.press("Send", visitor.questions.first)
    expect(visitor.answers.last.locator(".prose-text")).to_have_text("You said: better question")
    expect(visitor.page.locator(".turn textarea")).to_have_count(0)
