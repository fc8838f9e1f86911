"""The page is built without a model, and its parts say what is true."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from tests.ui.fake_engine import FakeEngine
from vlm_app.catalog import catalog
from vlm_app.chat import Chats, ChatSettings, Summary
from vlm_app.engine.states import ModelState
from vlm_app.errors import BadInput
from vlm_app.finetune.workshop import Workshop
from vlm_app.settings import settings
from vlm_app.store import Store
from vlm_app.types import Checkpoint, Runs, Sampling, Task
from vlm_app.ui import build_page, model_bar
from vlm_app.ui.page import Page
from vlm_app.ui.settings_panel import Choices, SettingsPanel
from vlm_app.ui.sidebar import chat_list
from vlm_app.ui.steady import DRAW
from vlm_app.ui.welcome import EXAMPLES, welcome
from vlm_app.workbench.bench import Bench

T = TypeVar("T")
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)


def in_a_loop(make: Callable[[], T]) -> T:
    """Gradio opens an event loop for each Blocks, and never closes it, where none is running."""

    async def made() -> T:
        return make()

    return asyncio.run(made())


def test_page_is_built_without_torch() -> None:
    code = "import sys, vlm_app.ui.listeners, vlm_app.ui.serving; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


@pytest.fixture
def page(tmp_path: Path) -> gr.Blocks:
    """The whole page, with an engine that has no model."""
    engine, store = FakeEngine(), Store(tmp_path)
    chats, bench, workshop = Chats(store, engine), Bench(store, engine), Workshop(store, engine)
    return in_a_loop(lambda: build_page(chats, engine, bench, store, workshop))


def test_programs_are_offered_the_export_and_nothing_of_the_page(page: gr.Blocks) -> None:
    offered = [fn.api_name for fn in page.fns.values() if fn.api_visibility != "private"]
    assert offered == ["export"]
    assert page.analytics_enabled is False


def test_html_that_is_drawn_again_keeps_what_the_browser_did_to_it(page: gr.Blocks) -> None:
    drawn = {part for fn in page.fns.values() for part in fn.outputs if isinstance(part, gr.HTML)}
    assert len(drawn) > 20
    assert {part.elem_id for part in drawn if part.js_on_load != DRAW} == set()


@pytest.fixture
def picking() -> Iterator[tuple[Page, SessionState, gr.Radio]]:
    """A page whose picker offers something else by now, in one visitor's session."""

    def build() -> tuple[Page, gr.Radio]:
        with Page() as page:
            task = gr.Radio(["chat", "caption"], value="chat", elem_id="task")
            task.change(lambda task: task, [task], [task])
        return page, task

    page, task = in_a_loop(build)
    state = SessionState(page)
    state[task._id] = gr.Radio(["caption", "detect"], render=False)
    state._update_value_in_config(task._id, "caption")
    yield page, state, task


def test_a_press_that_brings_what_is_no_longer_offered_has_what_is_shown_by_now(
    picking: tuple[Page, SessionState, gr.Radio],
) -> None:
    page, state, _ = picking
    for brought, taken in (("chat", "caption"), ("detect", "detect")):
        assert asyncio.run(page.preprocess_data(page.fns[0], [brought], state)) == [taken]


def test_what_was_never_offered_is_refused(picking: tuple[Page, SessionState, gr.Radio]) -> None:
    page, state, task = picking
    with pytest.raises(gr.Error, match="not in the list of choices"):
        asyncio.run(page.preprocess_data(page.fns[0], ["dance"], SessionState(page)))
    state._update_value_in_config(task._id, "gone, too")
    with pytest.raises(gr.Error, match="not in the list of choices"):
        asyncio.run(page.preprocess_data(page.fns[0], ["chat"], state))


def panel_for(model: str) -> SettingsPanel:
    def build() -> SettingsPanel:
        with gr.Blocks():
            return SettingsPanel.build(catalog()[model])

    return in_a_loop(build)


def test_settings_are_read_and_impossible_ones_refused() -> None:
    panel = panel_for("pebble")
    read = panel.read("pebble", "detect", ("Be brief", 0.5, 0.9, 64, 7, 0, "nf4", "signs"))
    sampling = Sampling(0.5, 0.9, 64, 7)
    assert read == ChatSettings("pebble", "Be brief", sampling, Task.DETECT, precision="nf4", adapter="signs")
    assert list(panel.show(read, Choices()).values())[:5] == ["Be brief", 0.5, 0.9, 64, 7]
    with pytest.raises(BadInput, match="temperature"):
        panel.read("pebble", "chat", ("", 9, 1, 64, None, 0, "auto", ""))


def test_pixel_budget_is_offered_only_where_the_family_has_one() -> None:
    panel = panel_for("pebble")
    assert panel.pixels.visible is False
    assert panel_for("smolvlm2-500m").pixels.visible is True
    for model, offered in (("smolvlm2-500m", True), ("pebble", False)):
        assert panel.offer(catalog()[model], Choices())[panel.pixels]["visible"] is offered
    assert panel.read("pebble", "chat", ("", 0, 1, 64, None, 1.5, "auto", "")).pixels is None
    read = panel.read("smolvlm2-500m", "chat", ("", 0, 1, 64, None, 1.5, "auto", ""))
    assert read.pixels == 1_500_000
    assert panel.show(read, Choices())[panel.pixels]["value"] == 1.5
    other = panel.read("florence-2-base", "chat", ("", 0, 1, 64, None, 0, "auto", ""))
    assert other.task in catalog()["florence-2-base"].tasks
    assert panel.read("smolvlm2-500m", "chat", ("", 0, 1, 64, None, 0, "", None)).pixels is None


def test_adapters_are_offered_only_where_the_model_has_any_and_one_that_is_gone_is_forgotten() -> None:
    panel = panel_for("pebble")
    made = Choices(adapters=FakeEngine().adapters("pebble"))
    asked = ChatSettings("pebble", adapter="signs")
    assert panel.show(asked, Choices())[panel.adapter]["visible"] is False
    assert panel.show(asked, Choices())[panel.adapter]["value"] == ""
    assert panel.show(asked, made)[panel.adapter]["visible"] is True
    assert panel.show(asked, made)[panel.adapter]["value"] == "signs"
    assert panel.offer(catalog()["pebble"], made)[panel.adapter]["value"] == ""


def test_picker_holds_only_what_can_run_here() -> None:
    far = Checkpoint("far", "Far", "x", "a/b", frozenset({Task.CHAT}), runs=Runs.SERVER)
    assert model_bar.models({**catalog(), "far": far}) == model_bar.models(catalog())


def test_base_model_says_that_it_completes_text() -> None:
    base = Checkpoint("base", "Base", "x", "a/b", frozenset({Task.CHAT}), chat=False)
    assert "completes text" in model_bar.knows(base)
    assert "completes text" in welcome(base)
    assert "go on with" in model_bar.hint(base, Task.CHAT)
    assert "completes text" not in welcome(catalog()["pebble"])


def test_model_that_does_not_chat_starts_with_what_it_can_do() -> None:
    reader = Checkpoint("reader", "Reader", "x", "a/b", frozenset({Task.OCR, Task.DETECT}), chat=False)
    assert model_bar.task_of(reader, Task.CHAT) is Task.DETECT
    assert model_bar.task_of(reader, Task.OCR) is Task.OCR
    assert "its tasks only" in welcome(reader)


def test_chats_are_listed_by_day_and_escaped() -> None:
    chats = [Summary("1", "<b>now</b>", NOW), Summary("2", "before", NOW - timedelta(days=1))]
    html = chat_list([*chats, Summary("3", "old", NOW - timedelta(days=60))], "2", "", NOW)
    assert [html.index(day) for day in ("Today", "Yesterday", "Earlier")] == sorted(
        html.index(day) for day in ("Today", "Yesterday", "Earlier")
    )
    assert "<b>" not in html
    assert html.count('aria-current="page"') == 1


def test_empty_list_says_why() -> None:
    assert "will stand here" in chat_list([], "", "", NOW)
    assert "No chat" in chat_list([], "", "pears", NOW)


def test_chip_says_state_precision_and_memory() -> None:
    html = model_bar.chip(ModelState("ready", "Pebble is ready.", 31_000_000, "fp32", model="pebble"))
    assert "ready" in html
    assert "fp32" in html
    assert "31 MB" in html
    assert "Unload" in html


def test_each_example_has_its_picture_and_a_task_of_the_first_model() -> None:
    html = welcome(catalog()[settings().model])
    assert html.count('class="card"') == 3
    for example in EXAMPLES.values():
        assert (settings().assets / "examples" / example.file).is_file()
