"""Addresses of our own on the page lead to where a reverse proxy serves it."""

from __future__ import annotations

import re

import pytest

from vlm_app.settings import ROOT, settings
from vlm_app.ui.addresses import under_root

PAGE = [*sorted((ROOT / "vlm_app" / "ui").rglob("*.py")), *sorted((ROOT / "assets").glob("*.js"))]
# An address that begins with our first folder, where `under_root` or `vlmRoot` does not stand before it.
BARE = re.compile(
    r"""(?:href|src|action)=\\?["']/\w | fetch\(\s*["'`]/ | "src":\s*f?"/
        | (?:src|location|href)\s*=\s*["'`]/\w""",
    re.VERBOSE,
)


def test_an_address_stands_below_the_path_of_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    assert under_root("/media/a") == "/media/a"
    monkeypatch.setenv("VLM_APP_ROOT_PATH", "/vlm")
    settings.cache_clear()
    assert under_root("/media/a") == "/vlm/media/a"


@pytest.mark.parametrize("words", ['<img src="/media/a">', "fetch(`/runs/${id}`)", "image.src = `/bench/a`"])
def test_a_bare_address_would_be_noticed(words: str) -> None:
    assert BARE.search(words)


def test_no_address_of_the_page_forgets_the_proxy() -> None:
    found = {path.name: BARE.findall(path.read_text(encoding="utf-8")) for path in PAGE}
    assert len(found) > 60
    assert not {name: addresses for name, addresses in found.items() if addresses}
