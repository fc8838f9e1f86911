"""The page under a path of a reverse proxy: nothing that it asks for lies outside of that path."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Response, expect

from tests.browser.conftest import Server, served
from tests.browser.small_proxy import Proxy, proxied
from tests.browser.visitor import Visitor

SHAPES = Path(__file__).resolve().parents[2] / "assets" / "examples" / "shapes.png"
LOADED = (
    "images => images.map(image => [image.getAttribute('src'), image.complete && image.naturalWidth > 0])"
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The quick app, told that it is served under /lab/vlm."""
    folder = tmp_path_factory.mktemp("proxied") / "data"
    command = ("-m", "tests.browser.fake_app", "PORT", "0.01")
    with served(folder, *command, VLM_APP_ROOT_PATH="/lab/vlm") as server:
        yield server


@pytest.fixture
def proxy(app: Server) -> Iterator[Proxy]:
    with proxied(app.url, "/lab/vlm") as made:
        yield made


def test_everything_on_the_page_works_under_a_path(
    proxy: Proxy, context: BrowserContext, tmp_path: Path
) -> None:
    refused: list[str] = []

    def note(response: Response) -> None:
        if response.status >= 400:
            refused.append(f"{response.status} {response.url}")

    context.on("response", note)
    visitor = Visitor.come(context, proxy.url)
    assert urlsplit(visitor.page.url).path == "/lab/vlm/"
    assert seen(visitor.page.locator(".welcome img"))
    chat(visitor)
    workbench(visitor.page)
    fine_tune(visitor.page)
    context.remove_listener("response", note)
    assert proxy.stray == [] and refused == []
    for link, kind in (("icon", "image/svg+xml"), ("manifest", "application/manifest+json")):
        address = visitor.page.locator(f"link[rel={link}]").evaluate("link => link.href")
        assert address.startswith(f"{proxy.url}/")
        got = visitor.page.request.get(address)
        assert got.status == 200 and got.headers["content-type"] == kind
    icon = got.json()["icons"][0]["src"]
    assert visitor.page.request.get(f"{proxy.origin}{icon}").status == 200
    assert visitor.elsewhere == [] and visitor.errors == []
    owner = [each for each in proxy.cookies if each.startswith("vlm_app_owner=")]
    assert owner and all("; Path=/lab/vlm;" in each for each in owner)


def chat(visitor: Visitor) -> None:
    """An upload, a streamed answer, its picture, and what is downloaded."""
    answer = visitor.ask("what is there?", SHAPES)
    expect(answer.locator("figure svg")).to_be_visible()
    assert seen(answer.locator("img")) and seen(visitor.page.locator(".turn.asked img"))
    links = [*answer.locator("figcaption a").all(), *visitor.page.locator("#export a").all()]
    assert len(links) == 4
    for link in links:
        address = link.evaluate("link => link.href")
        assert visitor.page.request.get(address).status == 200, address


def workbench(page: Page) -> None:
    """The overlay's picture, a finding's export, a report."""
    page.get_by_role("tab", name="Workbench").click()
    assert seen(page.locator(".bench-empty img"))
    page.click("[data-bench=example][data-name=shapes]")
    expect(page.locator("#bench-stage vlm-overlay img, vlm-overlay img").first).to_be_visible()
    page.locator("#bench-task").get_by_text("Detect", exact=True).click()
    page.click("#bench-go")
    export = page.locator("a[href*='/findings/']").first
    expect(export).to_be_attached()
    assert page.request.get(export.evaluate("link => link.href")).status == 200
    region = page.locator("li:has([aria-label^='Add to report'])").first
    region.hover()
    region.get_by_role("button", name="Add to report: ").click()
    with page.expect_download() as report:
        page.locator("#report-body").get_by_role("button", name="HTML", exact=True).click()
    assert "<img" in Path(report.value.path()).read_text(encoding="utf-8")


def fine_tune(page: Page) -> None:
    """A dataset that is brought, with its pictures."""
    page.get_by_role("tab", name="Fine-tune").click()
    assert seen(page.locator(".tune-empty img"))
    row = {
        "image": "shapes.png",
        "prefix": "detect circle",
        "suffix": "<loc0102><loc0205><loc0512><loc0716> circle",
    }
    page.set_input_files(
        "#tune-files",
        [
            {"name": "shapes.png", "mimeType": "image/png", "buffer": SHAPES.read_bytes()},
            {"name": "train.jsonl", "mimeType": "application/json", "buffer": json.dumps(row).encode()},
        ],
    )
    expect(page.locator(".lesson-card img").first).to_be_visible()
    assert seen(page.locator(".lesson-card img"))


def seen(images: Locator) -> bool:
    """Whether there are pictures, and all have come."""
    expect(images.first).to_be_attached()
    for image in images.all():
        expect(image).to_have_js_property("complete", True)
    found = images.evaluate_all(LOADED)
    missing = [address for address, loaded in found if not loaded]
    assert not missing
    return bool(found)


def test_behind_https_addresses_and_cookies_are_of_https(app: Server) -> None:
    with proxied(app.url, "/lab/vlm", keeps=True, https=True) as proxy:
        with urlopen(Request(f"{proxy.url}/", headers={"accept": "text/html"}), timeout=60) as answer:
            page = answer.read().decode()
        public = proxy.url.replace("http://", "https://")
        assert f'"root":"{public}"' in page
        assert proxy.cookies and all("; Secure" in each for each in proxy.cookies)
        with urlopen(f"{proxy.url}/examples/shapes.png", timeout=60) as answer:
            assert answer.read() == SHAPES.read_bytes()
        for site, foreign in ((public.removesuffix("/lab/vlm"), False), ("https://elsewhere.example", True)):
            asked = Request(f"{proxy.url}/arrivals", data=b"", headers={"origin": site}, method="POST")
            with pytest.raises(HTTPError) as refused:  # it comes without a cookie and names nothing
                urlopen(asked, timeout=60)
            assert (refused.value.code == 403) is foreign
            refused.value.close()
