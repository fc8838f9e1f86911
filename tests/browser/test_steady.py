"""HTML that is drawn again under somebody's hands: the page changes only where the server's HTML did."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

ASSETS = Path(__file__).resolve().parents[2] / "assets"
# What Gradio gives to a component's script: its properties, and a way to hear of new ones.
AS_IT_IS = "(html) => Object.assign(document.createElement('div'), { innerHTML: html }).innerHTML"
BEGIN = """() => {
  const props = { value: "" };
  let heard;
  vlmSteady(document.querySelector("main"), props, (name, then) => { heard = then; });
  window.write = (html) => { props.value = html; heard(); };
}"""


@pytest.fixture(scope="module")
def sheet(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content("<main></main>")
    page.add_script_tag(path=ASSETS / "steady.js")
    yield page
    page.close()


@pytest.fixture
def page(sheet: Page) -> Page:
    sheet.evaluate("document.querySelector('main').replaceWith(document.createElement('main'))")
    sheet.evaluate(BEGIN)
    return sheet


def write(page: Page, html: str) -> None:
    page.evaluate("(html) => window.write(html)", html)


def html(page: Page) -> str:
    return page.locator("main").inner_html()


ROW = '<li data-chat="{0}" class="chat"><b>{1}</b><button data-act="delete">x</button></li>'


def rows(*chats: tuple[str, str]) -> str:
    return f"<ul>{''.join(ROW.format(*each) for each in chats)}</ul>"


def test_page_becomes_what_the_server_wrote(page: Page) -> None:
    for written in (
        "<p>one</p>",
        "<p>two</p><p class='a'>three</p>",
        "<p class='b' title='t'>two</p>",
        "words <b>and</b> more",
        rows(("a", "A"), ("b", "B")),
        rows(("c", "C"), ("b", "B2"), ("a", "A")),
        "<select><option>x</option><option selected>y</option></select><textarea>said</textarea>",
        "<select><option selected>x</option><option>y</option></select><textarea>more</textarea>",
        "",
    ):
        write(page, written)
        assert html(page) == page.evaluate(AS_IT_IS, written)


def test_what_the_browser_marked_stays_with_what_it_is_about(page: Page) -> None:
    write(page, rows(("a", "A"), ("b", "B")))
    page.evaluate("document.querySelector('[data-chat=b]').classList.add('deleting')")
    write(page, rows(("c", "new"), ("a", "A"), ("b", "B again")))
    expect(page.locator(".deleting")).to_have_text("B againx")
    write(page, rows(("c", "new"), ("a", "A")))
    expect(page.locator(".deleting")).to_have_count(0)


def test_button_under_the_mouse_stays_and_becomes_no_other(page: Page) -> None:
    write(page, rows(("a", "A"), ("b", "B")))
    first, second = (page.locator(f"[data-chat={each}] button").element_handle() for each in "ab")
    write(page, rows(("b", "B, changed")))
    assert second.evaluate("on => on.isConnected && on.closest('li').dataset.chat") == "b"
    assert first.evaluate("on => on.closest('[data-chat]').dataset.chat") == "a"
    assert not first.evaluate("on => on.isConnected")


def test_typed_text_and_the_focus_stay_when_the_line_moves(page: Page) -> None:
    field = '<li data-key="{0}">{1}<input value="{0}"></li>'
    write(page, field.format("a", "A") + field.format("b", "B"))
    typing = page.locator("[data-key=b] input")
    typing.fill("half a wor")
    write(page, field.format("b", "B, now first") + field.format("a", "A"))
    expect(typing).to_have_value("half a wor")
    expect(typing).to_be_focused()
    page.keyboard.type("d")
    expect(typing).to_have_value("half a word")


def test_field_that_nobody_touched_follows_the_server(page: Page) -> None:
    fields = '<input value="{0}"><input type="checkbox"{1}><select><option{1}>a<option{2}>b</select>'
    write(page, fields.format("one", " checked", "").replace("<option checked>", "<option selected>"))
    write(page, fields.format("two", "", " selected"))
    expect(page.locator("input").first).to_have_value("two")
    expect(page.locator("input").last).not_to_be_checked()
    expect(page.locator("select")).to_have_value("b")
    page.locator("input").first.fill("mine")
    page.locator("input").last.check()
    write(page, fields.format("three", "", " selected"))
    expect(page.locator("input").first).to_have_value("mine")
    expect(page.locator("input").last).to_be_checked()


def test_field_that_the_browser_put_there_stays(page: Page) -> None:
    write(page, rows(("a", "A"), ("b", "B")))
    page.evaluate("document.querySelector('[data-chat=a]').prepend(document.createElement('input'))")
    page.locator("input").fill("mine")
    write(page, rows(("a", "A, changed"), ("b", "B")))
    expect(page.locator("[data-chat=a] input")).to_have_value("mine")
    expect(page.locator("[data-chat=a] b")).to_have_text("A, changed")


def test_fold_stays_open_unless_it_is_about_something_else(page: Page) -> None:
    fold = '<section data-dataset="{}"><p class="sure" hidden>Really? {}</p></section>'
    write(page, fold.format("a", "1 example"))
    page.evaluate("document.querySelector('.sure').hidden = false")
    write(page, fold.format("a", "2 examples"))
    expect(page.locator(".sure")).to_be_visible()
    write(page, fold.format("b", "2 examples"))
    expect(page.locator(".sure")).to_be_hidden()


def test_what_the_browser_drew_instead_gives_way_to_what_is_new(page: Page) -> None:
    write(page, "<td><i>asked</i></td><p>1</p>".replace("td", "div"))
    page.evaluate("document.querySelector('main div').innerHTML = '<b>told</b>'")
    write(page, "<div><i>asked</i></div><p>2</p>")
    expect(page.locator("div")).to_have_text("told")
    write(page, "<div><i>asked again</i></div><p>2</p>")
    expect(page.locator("div")).to_have_text("asked again")
