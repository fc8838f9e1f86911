"""What a visitor meets who takes more than a visitor may: a sentence, and nothing typed is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from statistics import median

import httpx
import psutil
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor
from tests.sizes import size

# Asks as often as it may, and then presses the button.
FLOOD = """async () => {
    const asked = {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'};
    for (let number = 0; number < 100; number++)  // a whole 3 seconds are left then
        if ((await (await fetch('gradio_api/queue/join', asked)).text()).includes('wait 3 s')) break;
    document.querySelector('#message .submit-button').click();
}"""
NARROW = {
    "VLM_APP_VISITOR_PIXELS": "1000000",
    "VLM_APP_EVERYONE": "visitor",
    "VLM_APP_VISITOR_BYTES": "200KB",
    "VLM_APP_VISITOR_VIDEO_BYTES": "300KB",
    "VLM_APP_VISITOR_IMAGES": "2",
    "VLM_APP_VISITOR_ANSWERS": "1",
    "VLM_APP_VISITOR_REQUESTS": "20",
}


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page as strangers get it, with small limits."""
    folder = tmp_path_factory.mktemp("narrow") / "data"
    with served(folder, "-m", "tests.browser.fake_app", "PORT", "0.02", **NARROW) as server:
        yield server


@pytest.fixture
def visitor(narrow: Server, newcomer: Callable[[str], Visitor]) -> Visitor:
    return newcomer(narrow.url)


def test_a_message_with_too_much_is_refused_and_stays_as_it_was_written(
    visitor: Visitor, tmp_path: Path
) -> None:
    """Too large a file, then too many images, then a message that is right."""
    large, small = tmp_path / "large.png", [tmp_path / f"{number}.png" for number in range(3)]
    Image.effect_noise((700, 700), 90).save(large)
    for number, path in enumerate(small):
        Image.new("RGB", (40 + number, 40)).save(path)
    message = visitor.page.locator("#message textarea")
    visitor.write("what is this?")
    visitor.page.set_input_files("#message input[type=file]", str(large))
    expect(visitor.sentence).to_contain_text(
        "“large.png” is larger than the 0.2 MB that a visitor may upload"
    )
    expect(visitor.sentence).not_to_contain_text("HTTP")
    expect(message).to_have_value("what is this?")
    visitor.close_toasts()
    visitor.attach(*small)
    visitor.send()
    expect(visitor.sentence.filter(has_text="at most 2 images")).to_be_visible()
    expect(message).to_have_value("what is this?")
    expect(visitor.page.locator("#message .thumbnail-item")).to_have_count(3)
    visitor.page.locator("#message .thumbnail-item button").first.click()
    visitor.send()
    expect(visitor.answers).to_have_count(1)
    assert not visitor.errors


def test_one_answer_at_a_time_is_written_for_a_visitor_with_two_tabs(visitor: Visitor) -> None:
    other = Visitor.come(visitor.page.context, visitor.url)
    visitor.write("slow please")
    visitor.send()
    expect(visitor.page.locator(".turn.answer")).to_contain_text("slowly")
    other.write("and this?")
    other.send()
    expect(other.sentence).to_contain_text("At most 1 answer is written at once for a visitor")
    expect(other.page.locator("#message textarea")).to_have_value("and this?")
    visitor.page.locator("#message .stop-button").click()
    expect(visitor.page.locator("#message .submit-button")).to_be_visible()
    other.send()
    expect(other.answers).to_have_count(1)


def test_who_asks_too_often_is_told_when_to_ask_again(visitor: Visitor) -> None:
    visitor.write("still there?")
    visitor.page.evaluate(FLOOD)
    expect(visitor.sentence).to_contain_text("At most 20 requests a minute are answered for a visitor: wait")
    expect(visitor.page.locator("#message textarea")).to_have_value("still there?")
    visitor.page.wait_for_timeout(4_000)
    visitor.send()
    expect(visitor.answers).to_have_count(1)


def test_other_programs_get_the_same_sentences(narrow: Server, tmp_path: Path) -> None:
    """Over HTTP, and through the named endpoint."""
    wide, large = tmp_path / "wide.png", tmp_path / "large.png"
    Image.new("L", (1500, 1000)).save(wide)
    Image.effect_noise((700, 700), 90).save(large)
    client = Client(narrow.url, download_files=str(tmp_path), verbose=False, httpx_kwargs={"timeout": 60})
    with pytest.raises(AppError, match="more than the 1 million that are opened here"):
        client.predict(handle_file(wide), api_name="/export")
    with large.open("rb") as file:
        answer = httpx.post(f"{narrow.url}/gradio_api/upload", files={"files": file}, timeout=60)
    assert (answer.status_code, "“large.png” is larger than the 0.2 MB" in answer.text) == (413, True)
    asked = [httpx.post(f"{narrow.url}/gradio_api/call/export", json={}, timeout=60) for _ in range(25)]
    told = next(each for each in asked if each.status_code == 429)
    assert told.json()["detail"].startswith("At most 20 requests a minute are answered for a visitor")


def test_refusals_cost_the_server_no_memory_and_little_time(narrow: Server) -> None:
    """Six uploads of 40 MB each, announced and not, where 0.3 MB are allowed."""
    process, client = psutil.Process(narrow.process.pid), httpx.Client(base_url=narrow.url, timeout=60)
    client.get("/", headers={"accept": "text/html"})  # with a cookie: a visitor of its own

    def refused(announced: bool) -> float:
        form = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        headers = {"content-type": "multipart/form-data; boundary=b"}
        body = chain([form], repeat(bytes(65_536), 600))
        begun = time.monotonic()
        content = b"".join(body) if announced else body
        answer = client.post("/gradio_api/upload", content=content, headers=headers)
        assert (answer.status_code, "“a.png” is larger than" in answer.text) == (413, True)
        return time.monotonic() - begun

    refused(True)  # warms up
    before, seconds = process.memory_info().rss, []
    for number in range(6):
        seconds.append(refused(number % 2 == 0))
        assert process.memory_info().rss - before < 60_000_000
    client.close()
    assert median(seconds) < size(20, 2)
