"""The machine live, models loaded and unloaded by a click, verdicts, precisions, the chip."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from tests.browser.conftest import Server, served
from tests.browser.test_models import row, rows, shown
from tests.browser.visitor import Visitor
from tests.ui.fake_manager import DRIVER


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An app with models at every stage of loading."""
    folder = tmp_path_factory.mktemp("busy") / "data"
    with served(folder, "-m", "tests.browser.fake_app", "PORT", "0.01", "busy") as server:
        yield server


@pytest.fixture
def busy(started: Server) -> Server:
    """The same, with all models as at the start."""
    started.process.send_signal(signal.SIGUSR1)
    return started


@pytest.fixture
def visitor(context: BrowserContext, busy: Server) -> Visitor:
    return Visitor.come(context, busy.url)


def held(visitor: Visitor, id: str) -> Locator:
    return visitor.page.locator(f'#loaded li[data-model="{id}"]')


def unloads(visitor: Visitor, id: str) -> None:
    held(visitor, id).get_by_role("button").click()
    expect(held(visitor, id)).to_have_count(0)


def test_page_shows_the_machine_live_and_gives_memory_back_by_a_click(visitor: Visitor) -> None:
    shown(visitor)
    bar = visitor.page.locator("#machine .device").first
    expect(bar.locator(".ours").last).to_contain_text("495 MB our models")
    expect(visitor.page.locator("#machine .unusable")).to_contain_text(DRIVER)
    expect(held(visitor, "pebble")).to_contain_text("adapters Street signs, Charts <b>")
    expect(held(visitor, "pebble")).to_contain_text("min ago")
    expect(held(visitor, "florence-2-base")).to_contain_text("answering, 2 waiting")
    unloads(visitor, "florence-2-base")
    expect(bar.locator(".ours").last).to_contain_text("31 MB our models")
    expect(row(visitor, "florence-2-base").locator(".runs")).to_contain_text("Fits")
    assert visitor.errors == []
    assert not visitor.page.evaluate("window.hacked")


def test_load_is_cancelled_by_the_keyboard(visitor: Visitor) -> None:
    shown(visitor)
    loading = held(visitor, "smolvlm2-500m")
    expect(loading).to_contain_text("downloading 43 %")
    expect(loading.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "43")
    loading.get_by_role("button", name="Cancel: SmolVLM2 500M").focus()
    visitor.page.keyboard.press("Enter")
    expect(loading).to_have_count(0)
    expect(row(visitor, "smolvlm2-500m").locator(".runs")).to_contain_text("Fits")


def test_double_click_unloads_one_model_and_not_the_next(visitor: Visitor) -> None:
    shown(visitor)
    expect(visitor.page.locator("#loaded li")).to_have_count(4)
    held(visitor, "pebble").get_by_role("button").dblclick()
    expect(held(visitor, "pebble")).to_have_count(0)
    visitor.page.wait_for_timeout(1500)
    expect(visitor.page.locator("#loaded li")).to_have_count(3)


def test_what_one_visitor_unloads_leaves_the_page_of_another_by_itself(
    visitor: Visitor, context: BrowserContext, busy: Server
) -> None:
    shown(visitor)
    row(visitor, "smolvlm2-500m").locator(".unfold").focus()
    other = shown(Visitor.come(context, busy.url))
    unloads(other, "pebble")
    visitor.page.bring_to_front()
    expect(held(visitor, "pebble")).to_have_count(0)
    expect(row(visitor, "pebble").locator(".runs")).to_contain_text("Fits")
    focused = visitor.page.evaluate("document.activeElement.closest('tbody').dataset.model")
    assert focused == "smolvlm2-500m"


def test_page_out_of_sight_asks_for_nothing(visitor: Visitor) -> None:
    shown(visitor)
    for leave in ("#tabs [role=tab]", ".chat a"):
        visitor.page.get_by_role("tab", name="Chat").click()
        visitor.ask("hello") if not visitor.chats.count() else None
        shown(visitor)
        visitor.page.locator(leave).first.click()
        expect(visitor.page.locator("#thread")).to_be_visible()
        visitor.page.wait_for_timeout(2500)
        asked: list[str] = []
        visitor.page.on("request", lambda request, asked=asked: asked.append(request.post_data or ""))
        visitor.page.wait_for_timeout(3000)
        assert not [each for each in asked if "This machine" in each]


def test_verdicts_are_sorted_with_the_small_ones_first(visitor: Visitor) -> None:
    shown(visitor)
    expect(row(visitor, "qwen2.5-vl-72b").locator(".runs")).to_contain_text("Too large")
    head = visitor.page.get_by_role("button", name="Fits here", exact=True)
    head.focus()
    visitor.page.keyboard.press("Enter")
    places = [int(each) for each in rows(visitor).evaluate_all("all => all.map(each => each.dataset.runs)")]
    assert places == sorted(places)
    said = rows(visitor).locator(".line .runs").all_inner_texts()
    kinds = [next((kind for kind in ("Fits", "Too large") if kind in each), "") for each in said]
    assert kinds.index("Too large") > max(at for at, kind in enumerate(kinds) if kind == "Fits")


def test_unfolded_row_says_what_each_precision_takes(visitor: Visitor) -> None:
    shown(visitor)
    row(visitor, "smolvlm2-500m").locator(".unfold").click()
    estimate = row(visitor, "smolvlm2-500m").locator(".estimate")
    expect(estimate.locator("tbody tr")).to_have_count(4)
    expect(estimate).to_contain_text("Reserve")
    expect(estimate.get_by_role("row", name="nf4")).to_contain_text("708 MB")


def test_precision_that_is_picked_is_used_and_kept_with_the_chat(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Settings").click()
    visitor.page.locator("#precision input").click()
    visitor.page.get_by_role("option", name="nf4: fits, 454 MB").click()
    expect(visitor.page.locator("#chip .chip")).to_contain_text("not loaded · fits in nf4, 454 MB")
    visitor.page.get_by_role("button", name="Settings").click()
    answer = visitor.ask("hello")
    expect(answer.locator(".saw summary")).to_contain_text("nf4")
    visitor.press("New chat")
    expect(visitor.page.locator("#precision input")).to_have_value("auto: bf16, 467 MB")
    visitor.chats.first.get_by_role("link").click()
    expect(visitor.page.locator("#precision input")).to_have_value("nf4: fits, 454 MB")


def test_adapter_is_offered_where_the_model_has_one_and_named_in_the_chip(visitor: Visitor) -> None:
    visitor.page.get_by_role("button", name="Settings").click()
    visitor.page.locator("#adapter input").click()
    visitor.page.get_by_role("option", name="Street signs").click()
    expect(visitor.page.locator("#chip .adapter")).to_contain_text("Street signs")
    visitor.page.get_by_role("button", name="Settings").click()
    row(shown(visitor), "qwen3-vl-2b").get_by_role("button", name="Chat with Qwen3-VL 2B").click()
    visitor.page.get_by_role("button", name="Settings").click()
    expect(visitor.page.locator("#adapter")).to_have_count(0)


def test_chip_says_whether_a_picked_model_fits_and_loads_and_unloads_it(visitor: Visitor) -> None:
    visitor.page.click("#model input")
    visitor.page.get_by_role("option", name="Qwen3-VL 2B", exact=True).click()
    chip = visitor.page.locator("#chip .chip")
    expect(chip).to_contain_text("not loaded · fits in bf16")
    chip.focus()
    visitor.page.keyboard.press("Enter")
    fold = visitor.page.locator("#chip-more")
    expect(fold).to_contain_text("to spare")
    fold.get_by_role("button", name="Load: Qwen3-VL 2B").click()
    expect(chip).to_contain_text("ready · bf16")
    expect(fold).to_be_visible()
    fold.get_by_role("button", name="Unload: Qwen3-VL 2B").click()
    expect(chip).to_contain_text("not loaded")
    visitor.page.keyboard.press("Escape")
    expect(fold).to_be_hidden()


def test_load_is_cancelled_from_the_chat(visitor: Visitor) -> None:
    visitor.page.click("#model input")
    visitor.page.get_by_role("option", name="SmolVLM2 500M", exact=True).click()
    chip = visitor.page.locator("#chip .chip")
    expect(chip).to_contain_text("downloading 43 %")
    chip.click()
    visitor.page.locator("#chip-more").get_by_role("button", name="Cancel: SmolVLM2 500M").click()
    expect(chip).to_contain_text("not loaded · fits in bf16")


def test_offered_model_is_one_click_from_a_chat(visitor: Visitor) -> None:
    offer = visitor.page.locator('.offers li[data-model="smolvlm2-500m"]')
    expect(offer).to_contain_text("downloading 43 %")
    offer.get_by_role("button", name="Cancel: SmolVLM2 500M").click()
    expect(offer).to_contain_text("1.0 GB to download · up to 9 words/s · Apache-2.0")
    visitor.page.wait_for_timeout(1000)
    offer.get_by_role("button", name="Download and chat: SmolVLM2 500M").click()
    expect(visitor.page.locator("#model input")).to_have_value("SmolVLM2 500M")
    expect(visitor.page.locator("#chip .chip")).to_contain_text("ready")
    expect(visitor.page.locator(".who")).to_contain_text("SmolVLM2 500M")
    visitor.ask("hello")
    expect(visitor.page.locator("#offers")).to_be_hidden()


def test_offline_page_says_so_in_one_line(quick: Server, context: BrowserContext) -> None:
    line = Visitor.come(context, quick.url).page.locator("#offers")
    expect(line).to_contain_text("The Hugging Face Hub cannot be reached.")
    expect(line.locator(".offers")).to_have_count(0)


def test_page_fits_a_phone(visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.page.reload()
    expect(visitor.page.locator(".offers li").first).to_be_visible()
    widths = "[document.documentElement.scrollWidth, document.querySelector('{}').scrollWidth]"
    assert max(visitor.page.evaluate(widths.format("#main"))) <= 390
    shown(visitor)
    row(visitor, "smolvlm2-500m").locator(".unfold").click()
    expect(row(visitor, "smolvlm2-500m").locator(".estimate")).to_be_visible()
    assert max(visitor.page.evaluate(widths.format("#models"))) <= 390
