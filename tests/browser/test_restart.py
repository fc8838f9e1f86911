"""The server is killed under an open tab, and comes back."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import served
from tests.browser.visitor import Visitor


def test_an_open_tab_shows_its_chat_again_with_what_was_typed(
    tmp_path: Path, context: BrowserContext
) -> None:
    command = ("-m", "tests.browser.fake_app", "PORT", "0.0")
    with served(tmp_path / "data", *command) as server:
        visitor = Visitor.come(context, server.url)
        visitor.ask("remember this")
        visitor.write("and then?")
        with visitor.page.expect_response("**/news"):  # the tab has heard which server it is
            pass
        visitor.page.evaluate("window.before = true")
        server.process.kill()
        server.process.wait()
        port = server.url.rpartition(":")[2]
        with served(tmp_path / "data", *command, port=int(port)):
            visitor.page.wait_for_function("!window.before")
            expect(visitor.page.locator("#message textarea")).to_have_value("and then?")
            expect(visitor.page.locator(".turn").first).to_contain_text("remember this")
            expect(visitor.chats.get_by_role("link")).to_have_text(["remember this"])
            visitor.send()
            expect(visitor.page.locator(".turn").last).to_contain_text("and then?")


def test_what_was_sent_to_a_server_that_is_away_is_there_when_it_is_back(
    tmp_path: Path, context: BrowserContext
) -> None:
    command = ("-m", "tests.browser.fake_app", "PORT", "0.0")
    with served(tmp_path / "data", *command) as server:
        visitor = Visitor.come(context, server.url)
        visitor.ask("remember this")
        with visitor.page.expect_response("**/news"):  # the tab has heard which server it is
            pass
        visitor.page.evaluate("window.before = true")
        server.process.kill()
        server.process.wait()
        visitor.write("and then?")
        visitor.send()
        expect(visitor.page.get_by_text("Connection to the server was lost")).to_be_visible()
        port = server.url.rpartition(":")[2]
        with served(tmp_path / "data", *command, port=int(port)):
            visitor.page.wait_for_function("!window.before")
            expect(visitor.page.locator("#message textarea")).to_have_value("and then?")
            visitor.send()
            expect(visitor.page.locator(".turn").last).to_contain_text("and then?")
