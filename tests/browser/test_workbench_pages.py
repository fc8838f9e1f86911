"""Documents and videos on the workbench, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.bench_desk import Desk, desk

__all__ = ["desk"]


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PDF of three pages with text."""
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("helvetica", size=24)
    for number in range(1, 4):
        pdf.add_page()
        pdf.cell(0, 20, f"Invoice {number}00{number}")
    path = tmp_path_factory.mktemp("paper") / "invoices.pdf"
    pdf.output(str(path))
    return path


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A video of ten seconds, in a format that every browser plays."""
    import av
    import numpy as np

    path = tmp_path_factory.mktemp("clip") / "clip.webm"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(100):
            pixels = np.full((120, 160, 3), 230, np.uint8)
            pixels[40:80, number : number + 40] = (200, 30, 30)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


# --- documents --------------------------------------------------------------------------


def test_question_goes_across_a_document_and_its_answer_leads_to_the_page(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    expect(desk.pages).to_have_count(3)
    desk.visitor.press("Select all")
    desk.choose("Ask a question", "Which is on page 3?")
    desk.page.click("#bench-go")
    expect(desk.past).to_have_count(1)
    link = desk.found.locator(".phrase[data-r^='page:']").last
    expect(link).to_contain_text("3")
    link.click()
    expect(desk.pages.nth(2).locator("button")).to_have_attribute("aria-current", "true")
    expect(desk.page.locator("#stage-title")).to_have_text("Page 3")


def test_pages_are_asked_one_after_another_and_each_has_its_regions(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    desk.pages.nth(0).locator("button").click()
    desk.pages.nth(2).locator("button").click(modifiers=["Shift"])
    desk.ask("Detect")
    assert {each["image"] for each in desk.regions()} == {0, 1, 2}
    desk.pages.nth(1).locator("button").click()
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)


def test_files_own_text_stands_beside_the_reading(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    desk.ask("Read text with places")
    desk.visitor.press("The file’s own text")
    second = desk.page.locator(".bench-found.second")
    expect(second).to_contain_text("Invoice 1001")
    expect(second.locator(".phrase[data-r~=differs]").first).to_be_visible()
    desk.visitor.press("The file’s own text")
    expect(second).to_have_count(0)
    expect(desk.found).to_contain_text("red circle")


def test_files_own_text_is_shown_and_left_again_where_nothing_was_asked(desk: Desk, paper: Path) -> None:
    desk.open(paper)
    desk.visitor.press("The file’s own text")
    expect(desk.found).to_contain_text("Invoice 1001")
    desk.visitor.press("The file’s own text")
    expect(desk.page.locator("#own-text")).to_have_attribute("aria-pressed", "false")
    expect(desk.page.locator("#bench-answer")).not_to_contain_text("Invoice")
    desk.visitor.press("The file’s own text")
    expect(desk.found).to_contain_text("Invoice 1001")
    desk.pages.nth(1).locator("button").click()
    expect(desk.page.locator("#own-text")).to_have_attribute("aria-pressed", "false")
    expect(desk.page.locator("#stage-title")).to_have_text("Page 2")
    desk.mark("stamp", (0.2, 0.2), (0.4, 0.4))
    expect(desk.visitor.sentence).to_have_count(0)
    assert desk.visitor.errors == []


# --- video ------------------------------------------------------------------------------


def test_video_is_scrubbed_and_a_frame_is_asked_about(desk: Desk, clip: Path) -> None:
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(clip))
    expect(desk.page.locator("#bench-video")).to_be_visible()
    expect(desk.pages).to_have_count(1)  # its first frame
    desk.page.locator("#bench-video input[type=range]").fill("4")
    expect(desk.page.locator("#bench-video output")).to_contain_text("0:04 / 0:10")
    at = "() => Math.abs(document.querySelector('#bench-video video').currentTime - 4) < 0.1"
    desk.page.wait_for_function(at)
    desk.visitor.press("Take this frame")
    expect(desk.pages).to_have_count(2)
    expect(desk.pages.last).to_contain_text("0:04")
    expect(desk.pages.last.locator("button")).to_have_attribute("aria-current", "true")
    desk.ask("Detect")
    expect(desk.overlay.locator(".ov-region[role=option]")).to_have_count(4)


def test_time_that_an_answer_names_is_jumped_to(desk: Desk, clip: Path) -> None:
    desk.page.locator("#bench input[type=file]").first.set_input_files(str(clip))
    desk.page.locator("#sample-count").fill("4")
    desk.visitor.press("Spread evenly")
    expect(desk.pages).to_have_count(4)
    desk.ask("Ask a question", "What happens at 0:06?")
    desk.found.locator(".phrase[data-r^='time:']").first.click()
    expect(desk.page.locator("#bench-video output")).to_contain_text("0:06 / 0:10")
