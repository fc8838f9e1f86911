"""A table of the overlay for each test, in a real Chromium."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.overlay_hand import PHRASES, SIZE, Table
from tests.browser.overlay_page import page_html, scene, served


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    listens = "".join(
        f"addEventListener('overlay-{name}', event => told.push(['{name}', event.detail]));"
        for name in ("change", "select", "hover", "drawn", "tool", "hidden")
    )
    page = page_html(PHRASES).replace("</head>", f"<script>window.told = []; {listens}</script></head>")
    with served(page, {"scene.png": scene(*SIZE)}) as url:
        yield url


@pytest.fixture
def table(browser: Browser, address: str) -> Iterator[Table]:
    yield from _table(browser, address, viewport={"width": 1100, "height": 900})


def _table(browser: Browser, address: str, **options: Any) -> Iterator[Table]:
    context = browser.new_context(**options)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    table = Table(page)
    table.show(editable=True)
    yield table
    context.close()
    assert not errors, errors
