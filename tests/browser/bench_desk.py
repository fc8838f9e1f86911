"""The workbench of one visitor, in words of the page, and files to open there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import skimage
from playwright.sync_api import Locator, Page, expect

from tests.browser.visitor import Visitor

PHOTOGRAPHS = Path(skimage.__file__).parent / "data"  # real ones, and a scanned page, of its package


class Desk:
    """The tab Workbench of one visitor, in words of the page."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page: Page = visitor.page
        self.page.get_by_role("tab", name="Workbench").click()
        self.page.wait_for_selector("#bench-bar")

    def open(self, *files: Path) -> None:
        self.page.locator("#bench input[type=file]").first.set_input_files([str(each) for each in files])
        expect(self.page.locator("#bench-name strong")).to_contain_text(files[0].name)
        expect(self.overlay.locator("img")).to_be_visible()

    def example(self, name: str = "shapes") -> None:
        self.page.click(f"[data-bench=example][data-name={name}]")
        expect(self.overlay.locator("img")).to_be_visible()

    def choose(self, task: str, query: str = "") -> None:
        self.page.locator("#bench-task").get_by_text(task, exact=True).click()
        if query:
            self.page.fill("#bench-query textarea", query)

    def ask(self, task: str, query: str = "") -> Locator:
        """Runs a task and waits for its finding."""
        before = self.past.count()
        self.choose(task, query)
        self.page.click("#bench-go")
        expect(self.past).to_have_count(before + 1)
        expect(self.page.locator("#bench-go")).to_be_visible()
        return self.found

    def drag(self, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Draws on the picture, from one place to another, as fractions of it."""
        box = self.overlay.locator("img").bounding_box()
        assert box is not None
        places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
        self.page.mouse.move(*places[0])
        self.page.mouse.down()
        self.page.mouse.move(*places[1], steps=5)
        self.page.mouse.up()

    def tool(self, name: str) -> None:
        self.page.click(f"#bench-stage [data-tool={name}]")

    def mark(self, label: str, begin: tuple[float, float], end: tuple[float, float]) -> None:
        """Draws a box, names it, and waits until it is kept."""
        self.tool("box")
        self.drag(begin, end)
        field = self.overlay.locator(".ov-label")
        expect(field).to_be_focused()
        field.fill(label)
        field.press("Enter")
        expect(self.found.locator(".bench-regions")).to_contain_text(label)

    def compare(self, name: str, without: str = "") -> None:
        """Chooses the second model, as soon as the list is that of the task: it lacks `without`."""
        self.page.click("#bench-second input")
        option = self.page.get_by_role("option", name=name, exact=True)
        expect(self.page.get_by_role("option", name=without or "-", exact=True)).to_have_count(0)
        expect(option).to_have_count(1)
        option.click()

    def write(self, text: str) -> None:
        """Corrects the text of the finding that is shown."""
        self.visitor.press("Correct the text")
        self.found.locator("textarea").fill(text)
        self.visitor.press("Keep")

    def exchange(self, kind: str, folder: Path) -> None:
        """Downloads what is shown in a format, and imports the file again."""
        before = self.past.count()
        with self.page.expect_download() as download:
            self.page.click("[popovertarget=bench-exports]")
            self.page.click(f"#bench-exports a[href$='export.{kind}']")
        path = folder / download.value.suggested_filename
        download.value.save_as(path)
        self.page.locator("#bench input[type=file]").nth(1).set_input_files(str(path))
        expect(self.past).to_have_count(before + 1)

    @property
    def overlay(self) -> Locator:
        return self.page.locator("#bench-overlay")

    @property
    def found(self) -> Locator:
        return self.page.locator("#bench-answer > * .bench-found, #bench-answer .bench-found").first

    @property
    def past(self) -> Locator:
        return self.page.locator("#bench-history .past li")

    @property
    def pages(self) -> Locator:
        return self.page.locator("#strip-pages li")

    @property
    def id(self) -> str:
        return str(self.found.get_attribute("data-finding"))

    def exported(self, kind: str = "json", id: str = "") -> bytes:
        answer = self.page.request.get(
            f"{self.visitor.url}/findings/{id or self.id}/export.{kind}", max_retries=3
        )
        assert answer.ok, answer.text()
        return answer.body()

    def regions(self, id: str = "") -> list[dict[str, Any]]:
        return list(json.loads(self.exported("json", id))["regions"])


@pytest.fixture
def desk(visitor: Visitor) -> Desk:
    return Desk(visitor)
