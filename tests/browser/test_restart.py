"""The server is killed under an open tab, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor

APP = ("-m", "tests.browser.fake_app", "PORT", "0.0")


@dataclass(frozen=True)
class Open:
    """A tab with a chat that has heard which server it is of."""

    visitor: Visitor
    server: Server

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()

    @contextmanager
    def served_again(self) -> Iterator[None]:
        """At the same address, until the tab has loaded itself again."""
        self.visitor.page.evaluate("window.before = true")
        with served(self.server.data, *APP, port=int(self.server.url.rpartition(":")[2])):
            self.visitor.page.wait_for_function("!window.before")
            yield


@pytest.fixture
def tab(tmp_path: Path, context: BrowserContext) -> Iterator[Open]:
    with served(tmp_path / "data", *APP) as server:
        visitor = Visitor.come(context, server.url)
        visitor.ask("remember this")
        with visitor.page.expect_response("**/news"):
            pass
        yield Open(visitor, server)


def test_an_open_tab_shows_its_chat_again_with_what_was_typed(tab: Open) -> None:
    visitor = tab.visitor
    visitor.write("and then?")
    tab.kill()
    with tab.served_again():
        expect(visitor.page.locator("#message textarea")).to_have_value("and then?")
        expect(visitor.page.locator(".turn").first).to_contain_text("remember this")
        expect(visitor.chats.get_by_role("link")).to_have_text(["remember this"])
        visitor.send()
        expect(visitor.page.locator(".turn").last).to_contain_text("and then?")


def test_what_was_sent_to_a_server_that_is_away_is_there_when_it_is_back(tab: Open) -> None:
    visitor = tab.visitor
    tab.kill()
    visitor.write("and then?")
    visitor.send()
    expect(visitor.page.get_by_text("Connection to the server was lost")).to_be_visible()
    with tab.served_again():
        expect(visitor.page.locator("#message textarea")).to_have_value("and then?")
        visitor.send()
        expect(visitor.page.locator(".turn").last).to_contain_text("and then?")
