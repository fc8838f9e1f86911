"""Datasets in a browser: bring one with bad rows, look at what it teaches, throw an example away."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Locator, Page, Route, expect

from tests.browser.conftest import Server
from tests.browser.visitor import Visitor

SHAPES = Path(__file__).resolve().parents[2] / "assets" / "examples" / "shapes.png"
SIGNS = SHAPES.parent / "signs.png"
EVIL = "<img src=x onerror='window.hacked=1'>"


class Desk:
    """The place of datasets of one visitor, in words of the page."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        self.page.get_by_role("tab", name="Fine-tune").click()
        self.page.wait_for_selector("#tune[data-view]")

    def upload(self, name: str, data: bytes) -> None:
        file: FilePayload = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
        self.page.set_input_files("#tune-files", [file])

    def hearts(self) -> None:
        self.page.click("[data-tune=hearts]")
        expect(self.arrival).to_contain_text("40 examples added")
        expect(self.cards).to_have_count(24)

    def press(self, name: str) -> None:
        self.page.locator("#tune").get_by_role("button", name=name, exact=True).first.click()

    @property
    def arrival(self) -> Locator:
        return self.page.locator(".tune-arrival")

    @property
    def cards(self) -> Locator:
        return self.page.locator(".lesson-card")

    @property
    def datasets(self) -> Locator:
        return self.page.locator(".tune-list li")

    @property
    def training(self) -> Locator:
        return self.page.locator("pre.training").first


@pytest.fixture
def desk(visitor: Visitor) -> Desk:
    return Desk(visitor)


def dataset() -> bytes:
    """Three good rows and two bad ones, in words that are no HTML."""
    file = io.BytesIO()
    rows = [
        {
            "image": "shapes.png",
            "prefix": "detect circle",
            "suffix": "<loc0102><loc0205><loc0512><loc0716> circle",
        },
        {"image": "gone.png", "prefix": "What is it?", "suffix": "Nobody knows."},
        {"image": "signs.png", "prefix": f"What is {EVIL}?", "suffix": f"It is {EVIL}."},
        {"image": "signs.png", "prefix": "What else?", "suffix": "Signs."},
        {"image": "signs.png", "prefix": "And now?", "suffix": ""},
    ]
    with zipfile.ZipFile(file, "w") as archive:
        for path in (SHAPES, SIGNS):
            archive.writestr(path.name, path.read_bytes())
        archive.writestr("train.jsonl", "\n".join(map(json.dumps, rows)))
    return file.getvalue()


def test_dataset_with_bad_rows_is_brought_looked_at_and_thinned(desk: Desk) -> None:
    desk.upload("Mine.zip", dataset())
    expect(desk.arrival).to_contain_text("2 rows cannot be used")
    expect(desk.arrival.locator("tbody tr")).to_have_count(2)
    expect(desk.arrival).to_contain_text("gone.png")
    expect(desk.datasets).to_have_count(0)
    desk.page.reload()  # nothing is lost, and nothing is kept yet
    expect(desk.arrival).to_contain_text("2 rows cannot be used")
    desk.press("Add the 3 good ones")
    expect(desk.arrival).to_contain_text("3 examples added to “Mine”")
    desk.press("Close")
    expect(desk.arrival).to_have_count(0)
    expect(desk.datasets).to_have_count(1)

    desk.cards.first.click()
    overlay = desk.page.locator("#tune-overlay")
    expect(overlay.locator("img")).to_be_visible()
    expect(overlay.locator(".ov-label, .ov-name, [data-key]").first).to_be_attached()
    expect(desk.page.locator(".lesson-text")).to_contain_text("circle")
    expect(desk.training.locator("mark.loss")).to_contain_text("circle")
    expect(desk.training).to_contain_text("Detect circle.")
    desk.press("Next example")
    expect(desk.page.locator(".lesson-text")).to_contain_text(EVIL)
    expect(desk.training).to_contain_text(f"What is {EVIL}?")
    expect(desk.training.locator("mark.loss")).to_contain_text("img srcx onerrorwindow.hacked1")
    expect(desk.page.locator("body")).to_contain_text("Pebble has no letters for ' < = >")

    desk.press("Delete this example")
    desk.press("Delete")
    expect(desk.page.locator(".lesson-bar")).to_contain_text("2 of 2")
    desk.page.reload()
    expect(desk.page.locator(".lesson-bar")).to_contain_text("2 of 2")
    desk.press("‹ All examples")
    expect(desk.cards).to_have_count(2)
    assert desk.page.evaluate("window.hacked") is None
    assert desk.visitor.errors == []
    assert desk.visitor.elsewhere == []


def test_first_user_tries_the_hearts_and_finds_what_is_held_out(desk: Desk) -> None:
    desk.hearts()
    desk.page.click("[data-tune=side][data-side=held]")
    expect(desk.cards).to_have_count(8)
    expect(desk.page.locator(".thumb .held")).to_have_count(8)
    desk.press("Show all")
    desk.press("Further examples")
    expect(desk.cards).to_have_count(16)
    desk.page.click(".bar:has-text('red heart')")
    expect(desk.cards).to_have_count(9)
    desk.press("Rename the dataset")
    desk.page.fill("[data-tune-form=rename] input", "Love")
    desk.page.keyboard.press("Enter")
    expect(desk.datasets).to_contain_text("Love")
    desk.press("Delete the dataset")
    desk.press("Keep")
    desk.press("Delete the dataset")
    desk.page.locator(".tune-head .tune-sure .danger").click()
    expect(desk.page.locator("#tune-empty .drop")).to_be_visible()


def test_file_that_is_dropped_on_a_dataset_is_added_to_it(desk: Desk) -> None:
    desk.page.locator("#tune-empty .drop").wait_for()
    drop = """([name, text, into]) => {
        const data = new DataTransfer();
        data.items.add(new File([Uint8Array.from(atob(text), each => each.charCodeAt(0))], name));
        const event = new DragEvent("drop", {dataTransfer: data, bubbles: true});
        document.querySelector(into).dispatchEvent(event);
    }"""
    text = base64.b64encode(dataset()).decode()
    desk.page.evaluate(drop, ["Mine.zip", text, "#tune-empty .drop"])
    desk.press("Add the 3 good ones")
    expect(desk.cards).to_have_count(3)
    desk.press("Close")
    desk.page.evaluate(drop, ["Again.zip", text, "#tune-gallery"])
    desk.press("Add the 3 good ones")
    expect(desk.arrival).to_contain_text("3 were there already")
    expect(desk.datasets).to_have_count(1)
    desk.page.evaluate(drop, ["Nothing.zip", "", "#tune-side"])
    expect(desk.arrival).to_contain_text("is empty")


def test_files_that_come_while_others_are_on_their_way_are_refused_in_a_sentence(desk: Desk) -> None:
    held: list[Route] = []
    desk.page.route("**/arrivals/*/file?*", lambda route: held.append(route))
    with desk.page.expect_request("**/arrivals/*/file?*"):
        desk.upload("one.jsonl", b"{}")
    desk.upload("two.jsonl", b"{}")
    expect(desk.page.locator("#tune-problem")).to_contain_text("Another upload is still on its way")
    held.pop().continue_()
    expect(desk.arrival).to_contain_text("one.jsonl")


def test_runs_know_a_dataset_that_was_made_after_they_were_looked_at(desk: Desk) -> None:
    desk.page.get_by_role("tab", name="Runs").click()
    expect(desk.page.locator("#run-empty")).to_be_visible()
    desk.page.get_by_role("tab", name="Datasets").click()
    desk.hearts()
    desk.page.get_by_role("tab", name="Runs").click()
    expect(desk.page.locator("#run-form [name=dataset] option")).to_have_count(1)
    expect(desk.page.locator("#run-empty")).to_be_hidden()


def test_stranger_sees_nothing_of_it(quick: Server, desk: Desk, newcomer: Callable[[str], Visitor]) -> None:
    desk.hearts()
    address = desk.page.url
    assert "tune=" in address
    stranger = newcomer(quick.url)
    stranger.page.goto(address)
    expect(stranger.page.locator("#tune-empty .drop")).to_be_visible()
    expect(stranger.page.locator(".tune-list li")).to_have_count(0)


def test_small_screen_shows_everything_below_each_other(desk: Desk) -> None:
    desk.hearts()
    desk.cards.first.click()
    desk.page.click(".sidebar .toggle-button")  # as a phone starts
    desk.page.set_viewport_size({"width": 390, "height": 844})
    expect(desk.training.locator("mark.loss")).to_be_visible()
    wide = desk.page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
