"""What a hand does on the overlay of a test page, and what is seen of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page

from tests.browser.overlay_page import data, region

SIZE = (1200, 800)
PHRASES = (
    '<span class="phrase" data-r="ball" tabindex="0">a red ball</span> by <b data-r="door sign">a door</b>'
)
BOX = (0.5, 0.25, 0.75, 0.5)  # 600..900, 200..400 pixels


def regions() -> list[dict[str, Any]]:
    return [
        region(
            "ball", "ball", 3, mask={"box": [0.1, 0.2, 0.3, 0.5], "size": [4, 2], "runs": [1, 2, 2, 2, 1]}
        ),
        region("door", "door", 0, box=list(BOX), score=0.87),
        region("gate", "door", 0, polygon=[[0.55, 0.65], [0.72, 0.65], [0.72, 0.9], [0.55, 0.9]]),
        region("knob", "knob", 2, point=[0.4, 0.7]),
        region("sign", "", 6, polygon=[[0.1, 0.7], [0.3, 0.7], [0.3, 0.75], [0.1, 0.75]], text="Invoce 17"),
    ]


@dataclass
class Table:
    """The page with the overlay, and what a hand does on it. Places are fractions of the picture."""

    page: Page

    def show(self, given: list[dict[str, Any]] | None = None, **more: Any) -> None:
        whole = data(regions() if given is None else given, SIZE, **more)
        self.page.evaluate("given => { document.querySelector('vlm-overlay').data = given }", whole)
        self.page.wait_for_function("document.querySelector('vlm-overlay img').complete")
        self.rest()

    def rest(self) -> None:
        self.page.evaluate(
            "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )

    def call(self, script: str) -> Any:
        return self.page.evaluate(
            f"() => {{ const overlay = document.querySelector('vlm-overlay'); {script} }}"
        )

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a place of the picture is in the window, read from the picture itself."""
        box = self.page.locator("vlm-overlay img").bounding_box()
        assert box is not None
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def click(self, x: float, y: float) -> None:
        self.page.mouse.click(*self.at(x, y))
        self.rest()

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        mouse = self.page.mouse
        (x0, y0), (x1, y1) = self.at(*start), self.at(*end)
        mouse.move(x0, y0)
        mouse.down()
        mouse.move((x0 + x1) / 2, (y0 + y1) / 2)
        mouse.move(x1, y1)
        mouse.up()
        self.rest()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)
        self.rest()

    def focus(self) -> None:
        self.call("overlay.querySelector('[role=listbox]').focus()")

    def region(self, key: str) -> dict[str, Any]:
        found = self.page.evaluate(
            "key => document.querySelector('vlm-overlay').data.regions.find(each => each.key === key)",
            key,
        )
        assert found is not None, f"there is no region '{key}'"
        return dict(found)

    def pixels(self, key: str) -> list[float]:
        """A region's numbers in pixels."""
        its = self.region(key)
        shape = its[its["kind"]]
        flat = (
            shape["box"]
            if its["kind"] == "mask"
            else [n for each in shape for n in each]
            if its["kind"] == "polygon"
            else shape
        )
        return [round(value * SIZE[index % 2], 3) for index, value in enumerate(flat)]

    def region_keys(self) -> list[str]:
        return list(self.call("return overlay.data.regions.map(each => each.key)"))

    def lit(self) -> set[str]:
        return set(
            self.call("return [...overlay.querySelectorAll('.ov-region.lit')].map(each => each.dataset.key)")
        )

    def selected(self) -> str | None:
        return self.call("return overlay.querySelector('[aria-selected=true]')?.dataset.key ?? null")

    def told(self, name: str) -> list[Any]:
        """The details of the events of a name so far."""
        return list(
            self.page.evaluate(
                "name => window.told.filter(each => each[0] === name).map(each => each[1])", name
            )
        )

    def card(self) -> Any:
        return self.page.locator(".ov-card")
