"""What a person does on the page, in words of the page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Locator, Page, Request, expect

from vlm_app.types import Box

PATIENCE = 120_000  # milliseconds: a machine may be busy with other things, too
# Toasts go away after a while: what they said is kept for who asks why a test failed.
KEEP_TOASTS = """
window.toldInToasts = [];
new MutationObserver(() => {
  for (const each of document.querySelectorAll('.toast-body'))
    if (!toldInToasts.includes(each.innerText)) toldInToasts.push(each.innerText);
}).observe(document, { childList: true, subtree: true });
"""


@dataclass
class Visitor:
    """One tab. `errors` are scripts that failed, `elsewhere` requests that left for another host."""

    page: Page
    url: str
    errors: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)

    @classmethod
    def come(cls, context: BrowserContext, url: str, path: str = "/") -> Visitor:
        """Opens the page and waits until it can be used."""
        visitor = cls(context.new_page(), url)
        visitor.page.set_default_timeout(PATIENCE)
        visitor.page.add_init_script(KEEP_TOASTS)
        visitor.page.on("pageerror", lambda error: visitor.errors.append(str(error)))
        visitor.page.on("request", visitor._note)
        visitor.page.goto(url + path)
        visitor.page.wait_for_selector(".welcome, .turn")
        return visitor

    def _note(self, request: Request) -> None:
        if request.url.startswith("http") and urlsplit(request.url).netloc != urlsplit(self.url).netloc:
            self.elsewhere.append(request.url)

    # --- doing ------------------------------------------------------------------------

    def attach(self, *files: Path) -> None:
        """Adds files to the message."""
        before = self.page.locator("#message .thumbnail-item").count()
        self.page.set_input_files("#message input[type=file]", [str(file) for file in files])
        expect(self.page.locator("#message .thumbnail-item")).to_have_count(before + len(files))

    def write(self, text: str) -> None:
        self.page.fill("#message textarea", text)

    def send(self) -> None:
        self.page.click("#message .submit-button")

    def choose_task(self, name: str) -> None:
        self.page.locator("#task").get_by_text(name, exact=True).click()

    def choose_model(self, name: str) -> None:
        self.page.click("#model input")
        self.page.get_by_role("option", name=name, exact=True).click()

    def ask_again_with(self, name: str) -> None:
        """Picks a model from the menu under the last answer."""
        self.press("Ask again with …")
        self.page.locator("#again-menu").get_by_text(name, exact=True).click()

    def ask(self, text: str, *files: Path, task: str = "") -> Locator:
        """Sends a message and waits for its whole answer."""
        before = self.answers.count()
        if task:
            self.choose_task(task)
        if files:
            self.attach(*files)
        self.write(text)
        self.send()
        expect(self.answers).to_have_count(before + 1)
        return self.answers.last

    def press(self, name: str, inside: Locator | None = None) -> None:
        """A button by its name; those of messages show when they are pointed at."""
        (inside or self.page.locator("body")).get_by_role("button", name=name, exact=True).last.click()

    def close_toasts(self) -> None:
        """Those that are still there: they go by themselves, too."""
        self.page.evaluate("document.querySelectorAll('.toast-close').forEach((each) => each.click())")
        expect(self.sentence).to_have_count(0)

    def point_at(self, part: Locator, lights: Locator) -> None:
        """Moves the mouse there until it lights the other one: the page may still have moved under it."""
        until = time.monotonic() + PATIENCE / 1000
        while True:
            self.page.mouse.move(0, 0)
            part.hover()
            try:
                return expect(lights).to_have_count(1, timeout=2000)
            except AssertionError:
                if time.monotonic() > until:
                    raise

    # --- looking ----------------------------------------------------------------------

    @property
    def toasts(self) -> list[str]:
        """All that toasts ever said, also those that are gone."""
        return list(self.page.evaluate("toldInToasts"))

    @property
    def answers(self) -> Locator:
        return self.page.locator(".turn.answer:has(.foot)")

    @property
    def sides(self) -> Locator:
        """Answers that stand side by side."""
        return self.page.locator(".side")

    @property
    def notice(self) -> Locator:
        """What would be left out, above the message box."""
        return self.page.locator("#notice p")

    @property
    def questions(self) -> Locator:
        return self.page.locator(".turn.asked")

    @property
    def sentence(self) -> Locator:
        """What a toast says."""
        return self.page.locator(".toast-body")

    @property
    def chats(self) -> Locator:
        return self.page.locator("#chat-list .chat")

    def boxes(self, answer: Locator) -> Sequence[tuple[str, Box]]:
        """Label and box of each drawn region, as fractions of its picture, read from the SVG."""
        found = answer.locator("svg").evaluate_all(
            """svgs => svgs.flatMap(svg => [...svg.querySelectorAll('g.box')].map(group => {
                const at = group.querySelector('rect.line'), size = svg.viewBox.baseVal;
                const [x, y, w, h] = ['x', 'y', 'width', 'height'].map(name => at[name].baseVal.value);
                const {width, height} = size, label = group.getAttribute('aria-label');
                return [label, [x / width, y / height, (x + w) / width, (y + h) / height]];
            }))"""
        )
        return [(label, Box(*(min(max(value, 0.0), 1.0) for value in corners))) for label, corners in found]
