"""A press is answered though the browser is late to hear that the stream of events before it has ended."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.bench_desk import Desk
from tests.browser.conftest import Server
from tests.browser.visitor import Visitor

LATE_ENDS = """
const ask = window.fetch.bind(window);
window.fetch = async (address, options) => {
  const answer = await ask(address, options);
  if (!new URL(address.url ?? address, location.href).pathname.endsWith('/queue/data')) return answer;
  const late = async (text, out) => {
    const at = text.indexOf('data: {"msg":"close_stream"');
    if (at < 0) return out.enqueue(text);
    out.enqueue(text.slice(0, at));
    window.lateEnds = (window.lateEnds || 0) + 1;
    await new Promise((done) => setTimeout(done, 700));
    out.enqueue(text.slice(at));
  };
  const parts = [new TextDecoderStream(), new TransformStream({ transform: late }), new TextEncoderStream()];
  return new Response(parts.reduce((stream, part) => stream.pipeThrough(part), answer.body), answer);
};
"""


@pytest.fixture
def desk(quick: Server, browser: Browser) -> Iterator[Desk]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.add_init_script(LATE_ENDS)
    yield Desk(Visitor.come(context, quick.url))
    context.close()


def test_a_press_between_the_end_of_a_stream_and_its_news_is_answered(desk: Desk) -> None:
    desk.example()
    for number, task in enumerate(("Count", "Detect", "Point"), start=1):
        desk.page.wait_for_timeout(1200)  # whatever went before is over
        ends = desk.page.evaluate("window.lateEnds")
        desk.choose(task, "circle")
        desk.page.wait_for_function("before => window.lateEnds > before", arg=ends)
        desk.page.click("#bench-go")
        expect(desk.past).to_have_count(number, timeout=20_000)
    assert desk.visitor.errors == []
