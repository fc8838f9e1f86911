"""Servers on the page: adding one, its models, asking one of them, and what happens when it goes down."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, expect

from tests.browser.conftest import Server, served
from tests.browser.visitor import Visitor
from tests.servers import fault_server
from tests.servers.fault_server import KEY, Faults

QWEN = "Qwen/Qwen3-VL-4B-Instruct"
ROW, NAME = f"my-gpu/{QWEN}", "Qwen3-VL-4B-Instruct on my-gpu"
BOXES = '[{"bbox_2d": [125, 200, 375, 530], "label": "red circle"}]'
SHAPES = Path(__file__).resolve().parents[2] / "assets" / "examples" / "shapes.png"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The real app with a data folder of its own; no model of it is loaded."""
    with served(tmp_path_factory.mktemp("servers") / "data", "app.py") as server:
        yield server


@pytest.fixture
def faults() -> Iterator[Faults]:
    with fault_server.serving() as running:
        running.text = BOXES
        yield running


@pytest.fixture
def models(context: BrowserContext, app: Server) -> Iterator[Visitor]:
    """A visitor before the page of models; whatever was added is removed afterwards."""
    visitor = to_models(Visitor.come(context, app.url))
    yield visitor
    to_models(visitor)
    while visitor.page.locator("[data-server]").count():
        remove(visitor, str(visitor.page.locator("[data-server]").first.get_attribute("data-server")))


def to_models(visitor: Visitor) -> Visitor:
    visitor.page.get_by_role("tab", name="Models").click()
    expect(visitor.page.locator("#model-table tbody").first).to_be_visible()
    expect(visitor.page.locator("#servers h2")).to_be_visible()
    return visitor


def to_chat(visitor: Visitor) -> Visitor:
    visitor.page.get_by_role("tab", name="Chat").click()
    return visitor


def add(visitor: Visitor, url: str, name: str = "my-gpu", kind: str = "vLLM", key: str = "") -> Locator:
    """Fills the fold and sends it; the row of the server."""
    page = visitor.page
    if not page.locator("#server-name input").is_visible():
        page.locator("#add-a-server > button").click()
    page.locator("#server-kind input").click()
    page.get_by_role("option", name=kind, exact=True).click()
    page.locator("#server-url input").fill(url)
    page.locator("#server-name input").fill(name)
    page.locator("#server-key input").fill(key)
    visitor.press("Add server")
    return row(visitor, name)


def row(visitor: Visitor, name: str = "my-gpu") -> Locator:
    return visitor.page.locator(f'[data-server="{name}"]')


def remove(visitor: Visitor, name: str = "my-gpu") -> None:
    visitor.press(f"Remove: {name}")
    visitor.press(f"Remove it: {name}")
    expect(row(visitor, name)).to_have_count(0)


def line(visitor: Visitor, id: str = ROW) -> Locator:
    return visitor.page.locator(f'#model-table tbody[data-model="{id}"]')


def test_server_is_added_and_its_models_stand_in_the_table(
    models: Visitor, app: Server, faults: Faults
) -> None:
    added = add(models, faults.url, key=KEY)
    expect(added).to_contain_text(re.compile(r"answers in \d\.\d\d s"))
    expect(added).to_contain_text("key kept here")
    expect(added.get_by_label(f"How {QWEN} speaks")).to_have_value("qwen3_vl")
    expect(models.page.locator("#server-key input")).to_have_value("")
    expect(line(models).locator(".runs")).to_contain_text("On my-gpu")
    expect(line(models).locator(".runs")).to_contain_text("on a server · answers")
    expect(line(models).locator(".tasks")).to_contain_text("detect")
    assert faults.keys == [f"Bearer {KEY}"]
    assert KEY not in models.page.content()
    assert KEY not in (app.data.parent / f"{app.data.name}.log").read_text()
    assert models.errors == []
    assert models.elsewhere == []


def test_family_is_corrected_by_hand(models: Visitor, faults: Faults) -> None:
    added = add(models, faults.url)
    wrong = added.get_by_label("How my-finetune speaks")
    expect(wrong).to_have_value("openai")
    mine = line(models, "my-gpu/my-finetune")
    expect(mine.locator(".tasks")).not_to_contain_text("segment")
    wrong.select_option("paligemma")
    expect(mine.locator(".tasks")).to_contain_text("segment")
    models.press("Look again: my-gpu")
    expect(added).to_contain_text("answers")
    expect(added.get_by_label("How my-finetune speaks")).to_have_value("paligemma")


def test_servers_model_answers_in_the_chat_and_its_box_is_drawn(models: Visitor, faults: Faults) -> None:
    add(models, faults.url)
    line(models).get_by_role("button", name=f"Chat with {NAME}").click()
    expect(models.page.locator("#model input")).to_have_value(NAME)
    expect(models.page.locator("#chip .chip")).to_contain_text(re.compile(r"answers · \d\.\d\d s"))
    models.page.get_by_role("button", name="Settings").click()
    expect(models.page.locator("#settings").get_by_label("Temperature").first).to_be_visible()
    expect(models.page.locator("#precision")).to_be_hidden()
    expect(models.page.locator("#adapter")).to_be_hidden()
    models.page.get_by_role("button", name="Settings").click()
    answer = models.ask("red circle", SHAPES, task="Detect")
    ((label, box),) = models.boxes(answer)
    assert label.startswith("red circle")
    assert (box.x0, box.y0, box.x1, box.y1) == pytest.approx((0.125, 0.2, 0.375, 0.53), abs=0.01)
    expect(answer.locator(".notice")).to_have_count(0)
    assert faults.asked[-1]["model"] == QWEN
    assert models.errors == []


def test_server_that_goes_down_costs_its_own_rows_only(models: Visitor, faults: Faults) -> None:
    add(models, faults.url)
    expect(row(models)).to_contain_text("answers")
    to_chat(models).choose_model(NAME)
    faults.script[:] = ["close"]
    models.write("hello")
    models.send()
    expect(models.page.locator(".toast-body, .notice.failed").first).to_contain_text("my-gpu")
    expect(models.page.locator("#chip .chip")).to_contain_text("failed")
    to_models(models)
    expect(row(models)).to_have_class(re.compile("failed"))
    expect(row(models).locator(".problem")).to_contain_text("my-gpu")
    expect(line(models).locator(".runs")).to_contain_text("failed")
    expect(line(models, "pebble").locator("[data-act=chat-with]")).to_be_visible()
    expect(line(models, "pebble").locator(".runs")).not_to_contain_text("failed")
    for _ in range(2):
        look_again(models, faults)
    expect(row(models)).to_contain_text(re.compile(r"resting until \d\d:\d\d:\d\d"))
    faults.script[:] = ["answer"]
    look_again(models, faults)
    expect(row(models)).to_contain_text("answers")


def look_again(models: Visitor, faults: Faults) -> None:
    """Presses the button until the server was asked: while one look goes on another press is no new one."""
    asked = len(faults.keys)
    while len(faults.keys) == asked:
        models.press("Look again: my-gpu")
        models.page.wait_for_timeout(500)


def test_removed_server_leaves_no_row_and_the_chat_goes_on_with_another_model(
    models: Visitor, faults: Faults
) -> None:
    add(models, faults.url)
    line(models).get_by_role("button", name=f"Chat with {NAME}").click()
    expect(models.page.locator(".who")).to_contain_text(NAME)  # the chat came to the front: now back
    to_models(models)
    models.press("Remove: my-gpu")
    models.press("Keep it: my-gpu")
    expect(row(models)).to_be_visible()
    remove(models)
    expect(line(models)).to_have_count(0)
    to_chat(models)
    expect(models.page.locator("#model input")).not_to_have_value(NAME)
    expect(models.page.locator(".who")).not_to_contain_text(NAME)


def test_what_is_asked_before_a_removal_stays_while_the_list_is_drawn_again(
    models: Visitor, faults: Faults
) -> None:
    added = add(models, faults.url)
    expect(added).to_contain_text("answers")
    faults.held.set()
    models.press("Look again: my-gpu")
    look = added.locator("[data-act=server-look]")  # which the question hides
    expect(look).to_have_count(0)
    models.press("Remove: my-gpu")
    sure = added.get_by_role("button", name="Remove it: my-gpu")
    sure.hover()
    models.page.mouse.down()
    faults.held.clear()
    expect(look).to_have_count(1)  # the answer is here, and the row is drawn again under the mouse
    expect(sure).to_be_visible()
    models.page.mouse.up()
    expect(row(models)).to_have_count(0)


def test_family_that_was_refused_goes_back(models: Visitor, faults: Faults) -> None:
    added = add(models, faults.url)
    family = added.get_by_label("How my-finetune speaks")
    models.page.context.set_extra_http_headers({"x-forwarded-for": "10.1.2.3"})
    family.select_option("paligemma")
    expect(models.sentence.first).to_contain_text("Changing servers is for admins here")
    models.page.context.set_extra_http_headers({})
    expect(family).to_have_value("openai")


def test_server_that_nobody_started_says_so_and_nothing_waits(models: Visitor) -> None:
    added = add(models, "http://127.0.0.1:9/v1", name="asleep")
    expect(added.locator(".problem")).to_contain_text("cannot be reached at http://127.0.0.1:9/v1")
    expect(added).to_contain_text("It has shown no model yet.")
    expect(models.sentence.first).to_contain_text("cannot be reached")


def test_hosted_service_says_where_images_go(models: Visitor, faults: Faults) -> None:
    add(models, faults.url, name="service", kind="OpenAI (GPT-4o and later)")
    expect(row(models, "service").locator(".spoken li")).to_have_count(2)
    to_chat(models).choose_model("my-finetune on service")
    expect(models.page.locator("#knows .goes")).to_have_text("Images go to 127.0.0.1.")
    expect(models.page.locator("#knows .goes")).to_be_visible()


def test_kind_brings_its_address_and_the_line_that_starts_it(models: Visitor) -> None:
    page = models.page
    page.locator(".where.server button").first.click()
    expect(page.locator("#server-name input")).to_be_focused()
    expect(page.locator("#server-hint")).to_contain_text("vllm serve")
    page.locator("#server-kind input").click()
    page.get_by_role("option", name="Ollama", exact=True).click()
    expect(page.locator("#server-url input")).to_have_value("http://localhost:11434/v1")
    expect(page.locator("#server-name input")).to_have_value("ollama")
    expect(page.locator("#server-hint")).to_contain_text("ollama serve")
    page.locator("#server-url input").fill("http://10.0.0.7:1/v1")
    page.locator("#server-kind input").click()
    page.get_by_role("option", name="OpenAI (GPT-4o and later)", exact=True).click()
    expect(page.locator("#server-hint")).to_contain_text("OPENAI_API_KEY")
    expect(page.locator("#server-url input")).to_have_value("http://10.0.0.7:1/v1")


def test_visitor_changes_no_servers_and_is_offered_no_way_to(
    models: Visitor, context: BrowserContext, app: Server, faults: Faults
) -> None:
    refused = "Changing servers is for admins here, and you are a visitor: "
    expect(add(models, faults.url)).to_contain_text("answers")
    context.set_extra_http_headers({"x-forwarded-for": "10.1.2.3"})  # from here on the page is out of date
    add(models, faults.url, name="theirs", key=KEY)
    expect(models.sentence.first).to_contain_text(refused)
    expect(models.page.locator("#server-key input")).to_have_value("")
    expect(row(models, "theirs")).to_have_count(0)
    expect(models.sentence).to_have_count(0)
    models.press("Remove: my-gpu")
    models.press("Remove it: my-gpu")
    expect(models.sentence.first).to_contain_text(refused)
    anew = to_models(Visitor.come(context, app.url))
    expect(row(anew)).to_be_visible()
    expect(anew.page.locator("#add-a-server")).to_be_hidden()
    expect(anew.page.get_by_role("button", name="Remove: my-gpu")).to_be_hidden()
    anew.page.close()
    context.set_extra_http_headers({})
    expect(row(models)).to_have_count(1)
    assert KEY not in "".join(path.read_text() for path in app.data.glob("models/server-keys.json"))


def test_page_with_servers_fits_a_phone(models: Visitor, faults: Faults) -> None:
    add(models, faults.url)
    expect(line(models).locator(".runs")).to_contain_text("answers")
    models.page.set_viewport_size({"width": 390, "height": 844})
    assert models.page.evaluate("document.querySelector('#models').scrollWidth") <= 390
    models.page.set_viewport_size({"width": 1280, "height": 800})
