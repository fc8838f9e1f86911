"""The page of all models: finding one, choosing it, adding more, signing in."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.conftest import Server
from tests.browser.visitor import Visitor
from tests.engine.tiny import save_pebble
from vlm_app.catalog import catalog, choose
from vlm_app.types import Runs, Task

TOKEN = "hf_thisIsNobodysToken"


@pytest.fixture
def models(visitor: Visitor) -> Visitor:
    """A visitor before the table; nobody here reaches the Hub."""
    return shown(visitor)


def shown(visitor: Visitor) -> Visitor:
    visitor.page.get_by_role("tab", name="Models").click()
    expect(visitor.page.locator("#model-table tbody").first).to_be_visible()
    return visitor


def rows(visitor: Visitor) -> Locator:
    return visitor.page.locator("#model-table tbody:visible")


def row(visitor: Visitor, id: str) -> Locator:
    return visitor.page.locator(f'#model-table tbody[data-model="{id}"]')


def pick(visitor: Visitor, picker: str, choice: str) -> None:
    visitor.page.get_by_label(picker, exact=True).click()
    visitor.page.get_by_role("option", name=choice, exact=True).click()


def first_that(runs: Runs) -> str:
    return next(each.id for each in catalog().values() if each.runs is runs)


def test_every_model_of_the_catalog_has_its_row(models: Visitor) -> None:
    assert rows(models).count() == len(catalog())
    expect(models.page.locator("#model-count")).to_contain_text(f"{len(catalog())} models")
    assert models.errors == []
    assert models.elsewhere == []


def test_filters_leave_what_fits_and_are_taken_away_again(models: Visitor) -> None:
    pick(models, "Task", "Point")
    pick(models, "Memory", "Fits in 8 GB")
    fitting = choose(catalog().values(), task=Task.POINT, memory=8 * 10**9)
    expect(models.page.locator("#model-count")).to_contain_text(f"{len(fitting)} of {len(catalog())}")
    expect(rows(models)).to_have_count(len(fitting))
    models.page.get_by_label("Search the models").fill("no such model at all")
    expect(models.page.locator("#model-count")).to_contain_text("None of")
    models.press("Clear filters")
    expect(rows(models)).to_have_count(len(catalog()))
    expect(models.page.get_by_label("Search the models")).to_have_value("")


def test_table_is_sorted_by_the_keyboard_with_the_unknown_last(models: Visitor) -> None:
    head = models.page.get_by_role("button", name="Size", exact=True)
    head.focus()
    for order in ("ascending", "descending"):
        models.page.keyboard.press("Enter")
        expect(models.page.locator("th.size[aria-sort]")).to_have_attribute("aria-sort", order)
        sizes = rows(models).evaluate_all("all => all.map(each => each.dataset.size)")
        known = [int(size) for size in sizes if size]
        assert known == sorted(known, reverse=order == "descending")
        assert not any(sizes[len(known) :])
    models.page.keyboard.press("Enter")
    names = rows(models).evaluate_all("all => all.map(each => each.dataset.model)")
    assert names == list(catalog())


def test_row_unfolds_to_its_facts_and_sources_by_the_keyboard(models: Visitor) -> None:
    name = row(models, "smolvlm2-500m").locator(".unfold")
    name.focus()
    models.page.keyboard.press("Enter")
    expect(name).to_have_attribute("aria-expanded", "true")
    more = row(models, "smolvlm2-500m").locator(".more")
    expect(more.locator(".estimate")).to_contain_text("bf16, fp16")
    link = more.get_by_role("link").first
    expect(link).to_have_attribute("rel", "noopener noreferrer nofollow")
    models.page.keyboard.press("Enter")
    expect(more).to_be_hidden()


def test_model_of_a_row_answers_in_the_chat(models: Visitor) -> None:
    row(models, "smolvlm2-500m").get_by_role("button", name="Chat with SmolVLM2 500M").click()
    expect(models.page.locator("#model input")).to_have_value("SmolVLM2 500M")
    expect(models.page.locator(".who")).to_contain_text("SmolVLM2 500M")
    models.ask("hello")
    expect(models.answers.last.locator(".saw summary")).to_contain_text("SmolVLM2 500M")


def test_model_that_cannot_run_here_says_why_and_is_not_in_the_picker(models: Visitor) -> None:
    for runs, words in ((Runs.SERVER, "Needs a server"), (Runs.HOSTED, "A service")):
        its_row = row(models, first_that(runs))
        expect(its_row.locator(".runs")).to_contain_text(words)
        expect(its_row.locator("[data-act=chat-with]")).to_have_count(0)
    models.page.get_by_role("tab", name="Chat").click()
    models.page.click("#model input")
    here = [each.name for each in catalog().values() if each.runs.here]
    expect(models.page.get_by_role("option")).to_have_count(len(here))


def test_saved_chat_is_opened_from_the_page_of_models(models: Visitor) -> None:
    models.page.get_by_role("tab", name="Chat").click()
    models.ask("hello")
    models.page.get_by_role("tab", name="Models").click()
    models.chats.first.get_by_role("link").click()
    expect(models.answers.last).to_be_visible()
    models.page.get_by_role("tab", name="Models").click()
    models.press("New chat")
    expect(models.page.locator(".welcome")).to_be_visible()


def test_token_is_never_shown_again(models: Visitor, quick: Server) -> None:
    models.page.click("#sign-in .label-wrap")
    field = models.page.get_by_label("Access token")
    expect(field).to_have_attribute("type", "password")
    field.fill(TOKEN)
    models.page.locator("#sign-in").get_by_role("button", name="Sign in", exact=True).last.click()
    expect(models.page.locator("#signed")).to_contain_text("Signed in")
    expect(field).to_have_value("")
    models.page.get_by_role("tab", name="Chat").click()
    models.ask("hello")
    assert TOKEN not in models.page.content()
    holding = [
        path.name for path in quick.data.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]
    assert holding == ["hub-token.json"]
    log = quick.data.parent / f"{quick.data.name}.log"
    assert TOKEN not in log.read_text()
    models.page.get_by_role("tab", name="Models").click()
    models.page.locator("#sign-out").click()
    expect(models.page.locator("#signed")).to_contain_text("Nobody is signed in")


def test_what_is_no_token_is_refused_in_a_sentence(models: Visitor) -> None:
    models.page.click("#sign-in .label-wrap")
    models.page.get_by_label("Access token").fill("two words")
    models.page.keyboard.press("Enter")
    expect(models.sentence).to_contain_text("This is not a token")
    expect(models.page.get_by_label("Access token")).to_have_value("")


def test_hub_that_cannot_be_reached_is_told(models: Visitor) -> None:
    models.page.click("#hub .label-wrap")
    models.page.get_by_label("Words, a Hub id or a folder").fill("ocr")
    models.press("Search the Hub")
    expect(models.sentence).to_contain_text("could not be searched")


def test_folder_is_added_as_unlisted_and_can_be_chosen(models: Visitor, tmp_path: Path) -> None:
    folder = save_pebble(tmp_path / "my-own-model")
    models.page.click("#hub .label-wrap")
    models.page.get_by_label("Words, a Hub id or a folder").fill(str(folder))
    models.press("Size")
    row(models, "smolvlm2-500m").locator(".unfold").click()
    models.press("Add this")
    its_row = row(models, "my-own-model")
    expect(its_row).to_contain_text("unlisted")
    expect(row(models, "smolvlm2-500m").locator(".more")).to_be_visible()
    sizes = "rows => rows.map(row => row.dataset.size).filter(Boolean).map(Number)"
    found = models.page.locator("#model-table tbody").evaluate_all(sizes)
    assert found == sorted(found), "a new row leaves the order that was chosen"
    expect(its_row).not_to_contain_text(str(tmp_path))
    its_row.get_by_role("button", name="Chat with my-own-model").click()
    expect(models.page.locator("#model input")).to_have_value("my-own-model")


def test_table_fits_a_phone(models: Visitor) -> None:
    models.page.set_viewport_size({"width": 390, "height": 844})
    models.page.reload()
    shown(models)
    wide = models.page.evaluate(
        "[document.documentElement.scrollWidth, document.querySelector('#models').scrollWidth]"
    )
    assert max(wide) <= 390


def test_pixel_budget_is_offered_by_families_that_have_one_and_kept_with_the_chat(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Settings").click()
    expect(visitor.page.locator("#pixels")).to_have_count(0)
    visitor.page.get_by_role("button", name="Settings").click()
    shown(visitor)
    row(visitor, "smolvlm2-500m").get_by_role("button", name="Chat with SmolVLM2 500M").click()
    visitor.page.get_by_role("button", name="Settings").click()
    number = visitor.page.locator("#pixels input[type=number]")
    number.fill("1.5")
    number.press("Tab")
    visitor.page.get_by_role("button", name="Settings").click()
    visitor.ask("hello")
    visitor.press("New chat")
    expect(number).to_have_value("0")
    visitor.chats.first.get_by_role("link").click()
    expect(number).to_have_value("1.5")
