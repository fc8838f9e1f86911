"""The workbench in a browser: open, ask, check, fix, take along."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.bench_desk import PHOTOGRAPHS, Desk, desk
from tests.browser.conftest import Server
from tests.browser.drawn import draw
from tests.browser.visitor import Visitor

__all__ = ["desk"]


EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples"
SHAPES, SIGNS = EXAMPLES / "shapes.png", EXAMPLES / "signs.png"
TITLE = (0.017, 0.066, 0.761, 0.175)  # where the ink of the page's title is, seen by a person


# --- opening and asking -----------------------------------------------------------------


def test_empty_bench_says_what_it_takes_and_an_example_opens(desk: Desk) -> None:
    expect(desk.page.locator(".bench-empty")).to_contain_text("Drop images, a PDF or a video")
    expect(desk.page.locator("#bench-body")).to_be_hidden()
    desk.example()
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    assert desk.visitor.errors == []
    assert desk.visitor.elsewhere == []


def test_regions_grow_on_the_picture_and_phrases_light_up_with_them(desk: Desk) -> None:
    desk.example()
    found = desk.ask("Detect")
    expect(found.locator(".phrase")).to_have_count(4)
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)
    lit = desk.overlay.locator(".ov-region[role=option].lit")
    desk.visitor.point_at(found.locator(".phrase", has_text="star"), lit)
    assert [each["label"] for each in desk.regions()] == ["red circle", "blue square", "star", "triangle"]
    assert desk.visitor.errors == []


def test_label_is_switched_off_and_on(desk: Desk) -> None:
    desk.example()
    found = desk.ask("Detect")
    found.get_by_role("button", name="Show star").click()
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(3)
    found.get_by_role("button", name="Show star").click()
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)


def test_answer_is_stopped_and_kept(desk: Desk) -> None:
    desk.example()
    desk.choose("Ask a question", "count slowly")
    desk.page.click("#bench-go")
    expect(desk.found).to_contain_text("I count")
    desk.page.click("#bench-stop")
    expect(desk.found).to_contain_text("Stopped.")
    expect(desk.past).to_have_count(1)
    expect(desk.page.locator("#bench-go")).to_be_visible()


def test_model_that_fails_says_so_and_nothing_is_lost(desk: Desk) -> None:
    desk.example()
    desk.ask("Ask a question", "please fail")
    expect(desk.found.locator(".failed")).to_contain_text("ran out of memory")
    desk.ask("Detect")
    expect(desk.past).to_have_count(2)


def test_what_cannot_be_opened_gets_a_sentence(desk: Desk, tmp_path: Path) -> None:
    broken = tmp_path / "broken.pdf"
    broken.write_bytes(b"%PDF-1.7 nothing more")
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(broken))
    expect(desk.visitor.sentence).to_contain_text("broken.pdf")
    expect(desk.page.locator(".bench-empty")).to_be_visible()


def test_files_dropped_on_the_tab_are_opened_here(desk: Desk) -> None:
    data = list(SHAPES.read_bytes())
    desk.page.evaluate(
        """(bytes) => {
            const files = new DataTransfer();
            files.items.add(new File([new Uint8Array(bytes)], "dropped.png", {type: "image/png"}));
            const drop = new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true});
            document.querySelector("#bench-empty").dispatchEvent(drop);
        }""",
        data,
    )
    expect(desk.page.locator("#bench-name strong")).to_have_text("dropped.png")


def test_several_images_are_chosen_together(desk: Desk) -> None:
    desk.open(SHAPES, SIGNS)
    expect(desk.pages).to_have_count(2)
    desk.pages.nth(1).locator("button").click(modifiers=["Control"])
    expect(desk.page.locator("#run-about")).to_have_text("about 2 images")
    desk.ask("Detect")
    assert {each["image"] for each in desk.regions()} == {0, 1}
    expect(desk.page.locator("#strip-pages li.found")).to_have_count(2)


# --- what is open comes back ------------------------------------------------------------


def test_reload_comes_back_to_the_sheet_and_its_finding(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    first = desk.id
    desk.ask("Caption")
    desk.past.nth(1).locator(".row").click()
    expect(desk.found).to_have_attribute("data-finding", first)
    desk.page.reload()
    expect(desk.found).to_have_attribute("data-finding", first)
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)
    expect(desk.past).to_have_count(2)


def test_the_address_opens_its_sheet_in_another_tab(
    desk: Desk, context: BrowserContext, quick: Server
) -> None:
    desk.example("signs")
    expect(desk.page).to_have_url(re.compile(r"bench=\w{8}"))
    address = desk.page.url
    desk.open(SHAPES)
    other = Desk(Visitor.come(context, quick.url))
    other.page.goto(address)
    expect(other.page.locator("#bench-name strong")).to_have_text("signs.png")


def test_two_tabs_show_two_sheets(desk: Desk, context: BrowserContext, quick: Server) -> None:
    desk.example()
    other = Desk(Visitor.come(context, quick.url))
    other.example("signs")
    desk.ask("Detect")
    other.ask("Caption")
    expect(desk.past).to_have_count(1)
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    expect(other.page.locator("#bench-name strong")).to_have_text("signs.png")
    for each in (desk, other):
        each.page.reload()
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    expect(other.page.locator("#bench-name strong")).to_have_text("signs.png")


def test_earlier_sheet_is_opened_again_and_deleted(desk: Desk) -> None:
    desk.example()
    desk.open(SIGNS)
    desk.page.click("[popovertarget=bench-recent]")
    desk.page.locator("#bench-recent").get_by_text("shapes.png").click()
    expect(desk.page.locator("#bench-name strong")).to_have_text("shapes.png")
    desk.visitor.press("Delete this sheet")
    expect(desk.page.locator(".bench-empty")).to_be_visible()
    desk.page.click("[popovertarget=bench-recent]")
    expect(desk.page.locator("#bench-recent button")).to_have_count(1)


def test_nobody_sees_the_sheets_of_others(
    desk: Desk, newcomer: Callable[[str], Visitor], quick: Server
) -> None:
    desk.example()
    desk.ask("Detect")
    stranger = Desk(newcomer(quick.url))
    answer = stranger.page.request.get(f"{quick.url}/findings/{desk.id}/export.json", max_retries=3)
    assert answer.status == 404
    sheet = re.search(r"bench=([\w-]+)", desk.page.url)
    assert sheet is not None
    stranger.page.goto(f"{quick.url}/?bench={sheet[1]}")
    expect(stranger.page.locator(".bench-empty")).to_be_visible()


# --- from the chat, and on a phone ------------------------------------------------------


def test_answer_of_the_chat_opens_on_the_workbench(visitor: Visitor) -> None:
    visitor.ask("what is there?", SHAPES)
    visitor.press("open in workbench")
    expect(visitor.page.locator("#bench-overlay .ov-region[role=option]")).to_have_count(4)
    expect(visitor.page.locator("#bench-answer h2").first).to_contain_text("Pebble")
    assert visitor.errors == []


def test_hostile_answers_and_names_stay_words(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "<img src=x onerror=window.hacked=9>.png"
    path.write_bytes(SHAPES.read_bytes())
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(path))
    expect(desk.overlay.locator("img")).to_be_visible()
    desk.ask("Ask a question", "hostile")
    desk.ask("Ask a question", "tags")
    desk.found.get_by_role("button", name=re.compile("Add to report")).first.click()
    assert desk.page.evaluate("window.hacked") is None
    assert desk.visitor.errors == []
    assert desk.visitor.elsewhere == []


def test_nothing_is_wider_than_a_phone(desk: Desk) -> None:
    desk.page.set_viewport_size({"width": 390, "height": 844})
    desk.page.reload()  # a phone begins without the list of chats over the page
    expect(desk.page.locator(".bench-empty")).to_be_visible()
    expect(desk.page.locator(".sidebar.open")).to_have_count(0)
    width = "() => document.documentElement.scrollWidth"
    assert desk.page.evaluate(width) <= 390
    desk.open(SHAPES, SIGNS)
    desk.ask("Detect")
    assert desk.page.evaluate(width) <= 390
    picture, side = desk.overlay.bounding_box(), desk.page.locator("#bench-side").bounding_box()
    assert picture is not None
    assert side is not None
    assert picture["height"] > 300
    assert side["y"] >= picture["y"] + picture["height"] - 1


# --- with the built-in model ------------------------------------------------------------


def test_drawn_part_is_described(real: Server, context: BrowserContext) -> None:
    desk = Desk(Visitor.come(context, real.url))
    desk.example()
    desk.tool("describe")
    desk.drag((0.62, 0.3), (0.82, 0.54))
    expect(desk.past).to_have_count(1)
    expect(desk.found.locator("h2")).to_contain_text("Describe a part")
    expect(desk.found.locator(".prose-text")).to_contain_text("circle")
    expect(desk.found).to_contain_text("10 %")


def test_scanned_page_is_read_where_its_text_stands(real: Server, context: BrowserContext) -> None:
    desk = Desk(Visitor.come(context, real.url))
    desk.open(PHOTOGRAPHS / "page.png")
    found = desk.ask("Read text with places")
    expect(found.locator("h2")).to_contain_text("RapidOCR")
    expect(found.locator(".prose-text")).to_contain_text("Region-based segmentation")
    title = found.locator(".phrase", has_text="Region-based segmentation")
    title.hover()
    lit = desk.overlay.locator(".ov-region[role=option].lit")
    expect(lit).to_have_count(1)
    line, page = lit.bounding_box(), desk.overlay.locator("img").bounding_box()
    assert line is not None
    assert page is not None
    left, right = ((line["x"] - page["x"] + more) / page["width"] for more in (0, line["width"]))
    top, bottom = ((line["y"] - page["y"] + more) / page["height"] for more in (0, line["height"]))
    assert (left, top, right, bottom) == pytest.approx(TITLE, abs=0.05)  # a line has some air
    assert desk.visitor.errors == []


def test_a_sheet_that_is_opened_while_another_is_asked_about_stays_as_it_is(
    desk: Desk, tmp_path: Path
) -> None:
    other = draw(tmp_path / "other.png", colour="blue")
    desk.open(other)
    desk.open(SHAPES)
    desk.choose("Ask a question", "word " * 400)  # it is said again, a word in a hundredth of a second
    desk.page.click("#bench-go")
    expect(desk.found).to_contain_text("You said: word")
    desk.page.click("[popovertarget=bench-recent]")
    desk.page.locator("#bench-recent").get_by_text("other.png").click()
    expect(desk.visitor.sentence).to_contain_text("The question about 'shapes.png' goes on")
    expect(desk.page.locator("#bench-go")).to_be_visible()
    desk.mark("mine", (0.2, 0.2), (0.4, 0.4))
    desk.page.wait_for_timeout(12_000)  # until the other answer has ended
    expect(desk.page.locator("#bench-name strong")).to_contain_text("other.png")
    expect(desk.found.locator(".bench-regions")).to_contain_text("mine")
    expect(desk.page.locator("#bench-answer")).not_to_contain_text("word")
    desk.page.click("[popovertarget=bench-recent]")
    desk.page.locator("#bench-recent").get_by_text("shapes.png").click()
    expect(desk.found).to_contain_text("You said: word word")
    expect(desk.past).to_have_count(1)
    assert desk.visitor.errors == []
