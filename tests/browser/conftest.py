"""A real Chromium and the real server, on a free port of the loopback, with a data folder of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, expect, sync_playwright

from tests.browser.visitor import PATIENCE, Visitor
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("The browser tests need Chromium: `apt-get install chromium-headless-shell` brings it.")
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield started
        started.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test comes with what its pages showed and toasts on them have said, and its servers' logs."""
    report = yield
    given = getattr(item, "funcargs", {})  # a document's test has none
    started = given.get("browser")
    if report.failed and started is not None:
        for page in [page for context in started.contexts for page in context.pages]:
            page.set_default_timeout(2000)
            with suppress(Error):  # a page may be gone, and this is no test of its own
                said = page.evaluate(
                    "[...(window.toldInToasts || []), document.body.innerText].join('\\n\\n')"
                )
                report.sections.append((f"Shown at {page.url}", said))
        for server in {each for each in given.values() if isinstance(each, Server)}:
            report.sections.append((f"Log of {server.url}", server.log.read_text()[-4000:]))
    return report


@dataclass(frozen=True)
class Server:
    """A running app."""

    url: str
    data: Path
    process: subprocess.Popen[str]
    log: Path


@contextmanager
def served(data: Path, *command: str, port: int = 0, **variables: str) -> Iterator[Server]:
    """Runs `python <command>` with PORT replaced, until it answers; ends it by SIGTERM.

    `variables` are added to its environment. Without a port it gets a free one.
    """
    port = port or free_port()
    uploads = str((data / "cache" / "uploads").resolve())  # as the app itself sets it
    environment = {**os.environ, "VLM_APP_DATA": str(data), "VLM_APP_PORT": str(port)}
    environment |= {"GRADIO_TEMP_DIR": uploads, **variables}
    words = [sys.executable, *(word.replace("PORT", str(port)) for word in command)]
    path = data.parent / f"{data.name}.log"
    log = path.open("w+")
    process = subprocess.Popen(words, cwd=ROOT, env=environment, stdout=log, stderr=log, text=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, process, path)
        yield Server(url, data, process, path)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            process.kill()
            process.wait()
            log.close()


def _wait_until_up(url: str, process: subprocess.Popen[str], log: Path) -> None:
    for _ in range(720):
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"The server did not come up:\n{log.read_text()[-4000:]}")


@pytest.fixture(scope="session")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page with an engine that answers at once, without a model."""
    folder = tmp_path_factory.mktemp("quick") / "data"
    with served(folder, "-m", "tests.browser.fake_app", "PORT", "0.01") as server:
        yield server


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The app as everybody starts it, with Pebble."""
    with served(tmp_path_factory.mktemp("real") / "data", "app.py") as server:
        yield server


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Iterator[BrowserContext]:
    """One browser profile, so that the page's scripts are fetched and compiled once."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def context(profile: BrowserContext) -> Iterator[BrowserContext]:
    """The profile without a cookie: whoever comes is new here."""
    profile.clear_cookies()
    yield profile
    for page in profile.pages:
        page.close()
    profile.clear_permissions()


@pytest.fixture
def visitor(quick: Server, context: BrowserContext) -> Visitor:
    """A new visitor of the quick app."""
    return Visitor.come(context, quick.url)


@pytest.fixture(scope="module")
def tab(quick: Server, browser: Browser) -> Iterator[Visitor]:
    """One tab for the tests of a file: loading the page costs more than most of them."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield Visitor.come(context, quick.url)
    context.close()


@pytest.fixture
def regular(tab: Visitor) -> Visitor:
    """Somebody who may have chats here already, before a new one."""
    if tab.page.locator(".turn").count():
        tab.press("New chat")
    expect(tab.page.locator(".turn")).to_have_count(0)
    expect(tab.page.locator(".welcome")).to_be_visible()
    return tab


@pytest.fixture
def newcomer(browser: Browser) -> Iterator[Callable[[str], Visitor]]:
    """Makes further visitors, each with a browser of their own."""
    contexts: list[BrowserContext] = []

    def come(url: str) -> Visitor:
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}))
        return Visitor.come(contexts[-1], url)

    yield come
    for each in contexts:
        each.close()
