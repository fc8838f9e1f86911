"""What the workbench found is checked, fixed and taken along, in a browser."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, expect

from tests.browser.bench_desk import PHOTOGRAPHS, Desk, desk
from tests.browser.conftest import Server
from tests.browser.visitor import Visitor

__all__ = ["desk"]


PIXEL = 1.0


# --- checking and fixing ----------------------------------------------------------------


def test_label_is_fixed_and_the_correction_is_kept(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.found.get_by_role("button", name="red circle", exact=True).click()
    label = desk.overlay.locator(".ov-label")
    label.fill("crimson disc")
    label.press("Enter")
    expect(desk.found.locator("h2")).to_contain_text("corrected")
    expect(desk.found.locator(".bench-regions")).to_contain_text("crimson disc")
    desk.page.reload()
    expect(desk.found.locator(".bench-regions")).to_contain_text("crimson disc")
    assert desk.regions()[0]["label"] == "crimson disc"


def test_box_is_drawn_taken_back_and_drawn_again(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.tool("box")
    desk.drag((0.55, 0.1), (0.7, 0.3))
    expect(desk.found.locator(".bench-regions")).to_contain_text("by you")
    [mine] = [each for each in desk.regions() if each["label"] not in ("blue square", "star", "triangle")][1:]
    assert mine["box"] == pytest.approx([0.55, 0.1, 0.7, 0.3], abs=0.01)
    desk.page.keyboard.press("Escape")
    desk.visitor.press("Undo")
    expect(desk.found.locator(".bench-regions")).not_to_contain_text("by you")
    desk.visitor.press("Redo")
    expect(desk.found.locator(".bench-regions")).to_contain_text("by you")
    assert desk.visitor.errors == []


def test_box_is_drawn_where_no_model_was_asked(desk: Desk) -> None:
    desk.example()
    desk.tool("box")
    desk.drag((0.2, 0.2), (0.4, 0.5))
    expect(desk.past).to_have_count(1)
    expect(desk.found.locator("h2")).to_contain_text("You")
    assert desk.regions()[0]["box"] == pytest.approx([0.2, 0.2, 0.4, 0.5], abs=0.01)


def test_text_of_an_answer_is_corrected(desk: Desk) -> None:
    desk.example()
    desk.ask("Caption")
    desk.write("Seven shapes on green.")
    expect(desk.found.locator(".prose-text")).to_have_text("Seven shapes on green.")
    expect(desk.found.locator("h2")).to_contain_text("corrected")


def test_change_from_another_tab_is_not_overwritten(
    desk: Desk, context: BrowserContext, quick: Server
) -> None:
    desk.example()
    desk.ask("Caption")
    other = Desk(Visitor.come(context, quick.url))
    other.page.click("[popovertarget=bench-recent]")
    other.page.locator("#bench-recent button").first.click()
    expect(other.found).to_have_attribute("data-finding", desk.id)
    desk.write("The first.")
    expect(desk.found.locator("h2")).to_contain_text("corrected")
    other.write("The second.")
    expect(other.visitor.sentence).to_be_visible()
    expect(other.found.locator(".prose-text")).to_have_text("The first.")


def test_second_model_answers_beside_and_what_both_found_is_marked(desk: Desk) -> None:
    desk.example()
    desk.choose("Detect")
    hint = re.compile("What to detect")  # comes with the list of those who can
    expect(desk.page.locator("#bench-query textarea")).to_have_attribute("placeholder", hint)
    desk.compare("Florence-2 base", without="SmolVLM2 500M")  # which cannot detect
    desk.page.click("#bench-go")
    second = desk.page.locator(".bench-found.second")
    expect(second).to_contain_text("4 of 4 regions agree")
    second.locator("summary").first.click()
    second.get_by_role("button", name="Add to report: star").click()
    expect(desk.page.locator("#report-list li")).to_have_count(1)
    expect(desk.page.locator("#bench-beside .ov-region[role=option]")).to_have_count(4)
    expect(desk.overlay.locator(".ov-region[role=option].agreed")).to_have_count(4)
    desk.page.reload()
    expect(second).to_contain_text("Florence-2 base")


def test_answer_that_is_there_is_asked_of_another_model_with_one_press(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.compare("Florence-2 base")
    desk.visitor.press("Ask Florence-2 base the same")
    expect(desk.page.locator(".bench-found.second")).to_contain_text("4 of 4 regions agree")
    expect(desk.past).to_have_count(2)


def test_correction_is_added_to_a_dataset_in_one_click(desk: Desk) -> None:
    desk.example()
    desk.ask("Detect")
    desk.visitor.press("Add to dataset")
    expect(desk.page.locator("#bench-progress")).to_contain_text("Added to 'My corrections'")
    desk.visitor.press("Choose a dataset")
    expect(desk.page.locator("#dataset-list")).to_contain_text("My corrections")
    desk.page.get_by_label("Name of a new dataset").fill("Shapes")
    desk.page.locator("#bench-datasets form button").click()
    expect(desk.page.locator("#bench-progress")).to_contain_text("Added to 'Shapes'")


# --- taking along -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["json", "coco", "label-studio"])
def test_export_is_read_back_with_the_same_places(desk: Desk, tmp_path: Path, kind: str) -> None:
    desk.example()
    desk.ask("Detect")
    width, height = 640, 480
    before = desk.regions()
    desk.exchange(kind, tmp_path)
    expect(desk.found.locator("h2")).to_contain_text("You")
    after = desk.regions()
    assert [each["label"] for each in after] == [each["label"] for each in before]
    for one, other in zip(before, after, strict=True):
        assert _corners(one, width, height) == pytest.approx(_corners(other, width, height), abs=PIXEL)


@pytest.mark.parametrize(
    ("kind", "photograph"),
    [("json", "astronaut.png"), ("coco", "chelsea.png"), ("label-studio", "rocket.jpg")],
)
def test_marks_on_a_photograph_come_back_through_a_file(
    desk: Desk, tmp_path: Path, kind: str, photograph: str
) -> None:
    with Image.open(PHOTOGRAPHS / photograph) as image:
        width, height = image.size
    drawn = {"upper left": (0.113, 0.087, 0.377, 0.521), "lower right": (0.609, 0.633, 0.907, 0.941)}
    desk.open(PHOTOGRAPHS / photograph)
    for label, (x0, y0, x1, y1) in drawn.items():
        desk.mark(label, (x0, y0), (x1, y1))
    before, first = desk.regions(), desk.id
    desk.exchange(kind, tmp_path)
    expect(desk.found).not_to_have_attribute("data-finding", first)
    shown = desk.page.evaluate("() => document.querySelector('#bench-overlay').data.regions")
    for regions in (before, desk.regions(), shown):
        assert [each["label"] for each in regions] == list(drawn)
        for region, kept, box in zip(regions, before, drawn.values(), strict=True):
            place = _corners(region, width, height)
            assert place == pytest.approx(_corners(kept, width, height), abs=PIXEL)
            by_hand = [value * (width, height)[index % 2] for index, value in enumerate(box)]
            assert place == pytest.approx(by_hand, abs=2 * PIXEL)  # the hand is a pixel of the screen off
    assert desk.visitor.errors == []


def _corners(region: dict[str, Any], width: int, height: int) -> list[float]:
    """The outer box of a region in pixels."""
    shape = region[region["kind"]]
    flat = [value for point in shape for value in point] if region["kind"] == "polygon" else list(shape)
    xs, ys = flat[0::2], flat[1::2]
    return [min(xs) * width, min(ys) * height, max(xs) * width, max(ys) * height]


def test_every_format_is_offered_and_downloads(desk: Desk) -> None:
    from vlm_app.grounding.formats import FORMATS

    desk.example()
    desk.ask("Detect")
    links = desk.page.locator("#bench-exports a")
    assert links.count() == len(FORMATS)
    for name in FORMATS:
        assert desk.exported(name)
    assert zipfile.is_zipfile(io.BytesIO(desk.exported("yolo")))


def test_file_about_other_pictures_is_refused(desk: Desk, tmp_path: Path) -> None:
    desk.example()
    path = tmp_path / "mine.json"
    path.write_text("[]")
    desk.page.locator("#bench input[type=file]").nth(1).set_input_files(str(path))
    expect(desk.visitor.sentence).to_be_visible()
    expect(desk.past).to_have_count(0)


def test_line_is_added_once_however_late_the_news_is(desk: Desk) -> None:
    """The list of regions may be drawn before the browser hears of them as data."""
    desk.example()
    desk.page.evaluate(
        """() => {
            const tell = window.vlmBenchTell, late = [];
            window.vlmBenchTell = (text) => late.push(text);
            window.arrive = () => { window.vlmBenchTell = tell; late.forEach(tell); };
        }"""
    )
    desk.ask("Detect")
    add, lines = (
        desk.found.get_by_role("button", name="Add to report: star"),
        desk.page.locator("#report-list li"),
    )
    add.click()
    expect(lines).to_have_count(1)
    desk.page.evaluate("window.arrive()")
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)
    add.dblclick()
    desk.visitor.press("Add to report")
    expect(lines).to_have_count(4)
    desk.page.get_by_role("button", name="Remove: star").dblclick()
    expect(lines).to_have_count(3)
    assert desk.visitor.errors == []


def test_report_is_of_who_chose_it_and_of_what_is_there(
    desk: Desk, context: BrowserContext, quick: Server
) -> None:
    lines = desk.page.locator("#report-list li")
    desk.example()
    desk.ask("Detect")
    desk.visitor.press("Add to report")
    desk.ask("Caption")
    desk.visitor.press("Add to report")
    expect(lines).to_have_count(5)
    desk.page.reload()
    expect(lines).to_have_count(5)
    desk.past.first.hover()
    desk.past.first.locator("[data-bench=forget]").click()
    expect(lines).to_have_count(4)
    context.clear_cookies()  # somebody else in the same browser
    other = Desk(Visitor.come(context, quick.url))
    other.example()
    other.ask("Detect")
    other.found.get_by_role("button", name="Add to report: star").click()
    expect(other.page.locator("#report-list li")).to_have_count(1)
    assert "red circle" not in other.page.evaluate("localStorage['vlm-report']")


def test_two_tabs_write_one_report(desk: Desk, context: BrowserContext, quick: Server) -> None:
    desk.example()
    desk.ask("Detect")
    other = Desk(Visitor.come(context, quick.url))
    other.example()
    other.ask("Detect")
    for tab, words in ((desk, "star"), (other, "red circle")):
        expect(tab.found).to_have_count(1)
        tab.found.locator("li", has_text=words).hover()
        tab.found.get_by_role("button", name=f"Add to report: {words}").click()
    for tab in (desk, other):
        expect(tab.page.locator("#report-list li")).to_have_count(2)


def test_half_corrected_text_stays_while_a_box_is_drawn(desk: Desk) -> None:
    desk.example()
    desk.ask("Caption")
    desk.visitor.press("Correct the text")
    desk.found.locator("textarea").fill("Seven sha")
    desk.tool("box")
    desk.drag((0.2, 0.2), (0.4, 0.5))
    expect(desk.found.locator(".bench-regions")).to_contain_text("by you")
    expect(desk.found.locator("textarea")).to_be_visible()
    expect(desk.found.locator("textarea")).to_have_value("Seven sha")
    desk.visitor.press("Keep")
    expect(desk.found.locator(".prose-text")).to_have_text("Seven sha")


def test_chosen_regions_become_a_report(desk: Desk, tmp_path: Path) -> None:
    desk.example()
    desk.ask("Detect")
    for words in ("star", "red circle"):
        line = desk.found.locator("li", has_text=words)
        line.hover()
        line.get_by_role("button", name=f"Add to report: {words}").click()
    expect(desk.page.locator("#report-list li")).to_have_count(2)
    desk.visitor.press("Remove: star")
    expect(desk.page.locator("#report-list li")).to_have_count(1)
    desk.page.fill("#report-title", "What was <found>")
    for kind, begin in (("PDF", b"%PDF"), ("HTML", b"<!")):
        with desk.page.expect_download() as download:
            desk.visitor.press(kind, inside=desk.page.locator("#report-body"))
        data = Path(download.value.path()).read_bytes()
        assert data.lstrip().lower().startswith(begin.lower())
    assert b"What was &lt;found&gt;" in data
    assert b"shapes.png" in data
