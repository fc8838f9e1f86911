"""The page: what stands where. What it does is in `listeners`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from vlm_app.catalog import catalog
from vlm_app.engine.fixed import FIXED
from vlm_app.engine.opening import opening
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Task
from vlm_app.ui import model_bar, own_data
from vlm_app.ui.finetune.page import FinetunePage
from vlm_app.ui.models_page import ModelsPage
from vlm_app.ui.settings_panel import SettingsPanel
from vlm_app.ui.sidebar import ChatList
from vlm_app.ui.steady import steady
from vlm_app.ui.workbench.page import BenchPage

BRIDGE = (
    "window.vlmBridge = {quick: (data) => trigger('click', data), ask: (data) => trigger('submit', data)};"
)
ENGINE_BRIDGE = "window.vlmEngine = (data) => trigger('click', data);"
NEWS = "window.vlmNews = () => trigger('click');"
FOLLOWING = {"task", "adapter", "bench-task", "bench-second"}  # the pickers that follow the model's
CHAT, WORKBENCH, FINETUNE, MODELS = "chat", "workbench", "finetune", "models"  # the tabs


@dataclass(frozen=True)
class Parts:
    """The components that listeners read and write."""

    chats: ChatList
    tabs: gr.Tabs
    bench_tab: gr.Tab
    bench: BenchPage
    finetune_tab: gr.Tab
    finetune: FinetunePage
    models_tab: gr.Tab
    models: ModelsPage
    panel: SettingsPanel
    model: gr.Dropdown
    chip: gr.HTML
    offers: gr.HTML  # real models, under the first screen
    export: gr.HTML
    thread: gr.Chatbot
    task: gr.Radio
    message: gr.MultimodalTextbox
    notice: gr.HTML  # what the model would not get of what is about to be sent
    asks: gr.Number  # the number of a question for the notice, which the browser gives it
    left: gr.Textbox  # the answer to such a question, as JSON for the browser
    attached: gr.Number  # how many images the message box holds
    taken: gr.Textbox  # the id of the last message that was taken out of the message box
    look: gr.Textbox  # changes where a chat was opened whose answer is being written
    knows: gr.HTML
    chat: gr.Textbox  # the id of the chat that is shown; empty for a new one
    bridge: gr.HTML  # what buttons inside messages and lists report to
    engine: gr.HTML  # what buttons that load and unload report to
    shown: gr.Textbox  # whether the page of models is in sight, as the browser says
    news: gr.HTML  # clicked by the browser when something changed by itself


class Page(gr.Blocks):
    """A page on which the choices of one picker follow another one. A press that was on its way meanwhile may
    bring what is no longer offered: it has what the server made of it. Gradio would refuse it."""

    async def preprocess_data(
        self, block_fn: Any, inputs: list[Any], state: Any, explicit_call: bool = False
    ) -> list[Any]:
        taken: list[Any]
        try:
            taken = await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error:
            pairs = zip(block_fn.inputs, inputs, strict=True)
            now = [_by_now(part, value, state) for part, value in pairs] if state else inputs
            if now == inputs:
                raise
            taken = await super().preprocess_data(block_fn, now, state, explicit_call)
        return taken


def _by_now(part: Any, value: Any, state: Any) -> Any:
    """The value of an input, or what the session's picker was last set to, where it offers others by now."""
    if part.elem_id not in FOLLOWING or not isinstance(value, str) or state[part._id] is part:
        return value
    offered = [each for _, each in state[part._id].choices]
    shown = state.config_values[part._id]["props"].get("value")
    return shown if value not in offered and shown in offered else value


def blocks() -> gr.Blocks:
    """An empty page with its settings."""
    return Page(title="vlm-app", analytics_enabled=False, fill_width=True, fill_height=True)


def without_schemas(page: gr.Blocks) -> None:
    """Leaves out what describes values to other programs, but where they ask: it is made three times at
    the start, and each page would carry 100 kB of it. To be called before the page is closed."""
    asked = [fn for fn in page.fns.values() if fn.api_visibility != "private"]
    told = {part for fn in asked for part in (*fn.inputs, *fn.outputs)}
    for part in set(page.blocks.values()) - told:
        for schema in ("api_info", "api_info_as_input", "api_info_as_output"):
            setattr(part, schema, dict)


def layout() -> Parts:
    """Draws the page inside the Blocks that is open."""
    rows = catalog()
    here = model_bar.runnable(rows)
    first = next((each for each in here if each.id == opening().model), here[0])
    chats = ChatList.build()
    with gr.Tabs(elem_id="tabs", selected=CHAT) as tabs:
        with gr.Tab("Chat", id=CHAT):
            conversation = _conversation(rows, first)
        with gr.Tab("Workbench", id=WORKBENCH) as bench_tab:
            bench = BenchPage.build(rows, first.id)
        with gr.Tab("Fine-tune", id=FINETUNE) as finetune_tab, _unless_fixed():
            finetune = FinetunePage.build()
        with gr.Tab("Models", id=MODELS, elem_id="models-tab") as models_tab, _unless_fixed():
            models = ModelsPage.build(list(rows.values()))
    chat = gr.Textbox(visible=False, elem_id="chat")
    bridge = gr.HTML(elem_id="bridge", js_on_load=BRIDGE)
    engine = gr.HTML(elem_id="engine-bridge", js_on_load=ENGINE_BRIDGE)
    hidden = {"chat": chat, "bridge": bridge, "engine": engine, "shown": gr.Textbox(visible=False)}
    taught = {"finetune_tab": finetune_tab, "finetune": finetune}
    return Parts(
        chats, tabs, bench_tab, bench, **taught, models_tab=models_tab, models=models,
        **conversation, **hidden, news=gr.HTML(elem_id="news", js_on_load=NEWS),
    )  # fmt: skip


def _unless_fixed() -> gr.Column:
    """Room for what a place with fixed models lacks; there it is hidden, and a sentence says why."""
    if settings().fixed:
        gr.HTML(f'<p class="net" role="note">{FIXED}</p>', js_on_load=None)
    return gr.Column(visible=not settings().fixed)


def _conversation(rows: Mapping[str, Checkpoint], first: Checkpoint) -> dict[str, Any]:
    """The tab on which one talks: parts by the names of `Parts`."""
    begin = model_bar.task_of(first, Task.CHAT)
    with gr.Column(elem_id="main"):
        with gr.Row(elem_id="bar"):
            model = gr.Dropdown(
                model_bar.models(rows), value=first.id, label="Model", show_label=False, container=False,
                elem_id="model", filterable=True, min_width=120, scale=0,
            )  # fmt: skip
            chip = steady(elem_id="chip", min_width=80)
            export = steady(elem_id="export", min_width=40)
            panel = SettingsPanel.build(first)
        thread = gr.Chatbot(
            elem_id="thread", show_label=False, container=False, buttons=[], layout="panel", height=None,
            feedback_options=None, allow_tags=False, group_consecutive_messages=False,
        )  # fmt: skip
        offers = steady(elem_id="offers")
        with gr.Column(elem_id="composer"):
            task = gr.Radio(
                model_bar.tasks(first), value=begin.value, label="Task", show_label=False,
                container=False, elem_id="task",
            )  # fmt: skip
            notice = steady(elem_id="notice")
            asks, left = gr.Number(0, visible=False), gr.Textbox(visible=False)
            attached, taken = gr.Number(0, visible=False), gr.Textbox(visible=False)
            look = gr.Textbox(visible=False)
            message = gr.MultimodalTextbox(
                elem_id="message", file_count="multiple", file_types=["image", ".pdf"], sources=["upload"],
                show_label=False, placeholder=model_bar.hint(first, begin), lines=1, max_lines=8,
                autofocus=True, max_plain_text_length=1_000_000,
            )  # fmt: skip
            knows = steady(model_bar.knows(first), elem_id="knows")
            own_data.notice()  # on a phone, where the sidebar is closed
    return {
        "model": model,
        "chip": chip,
        "offers": offers,
        "export": export,
        "panel": panel,
        "thread": thread,
        "task": task,
        "message": message,
        "notice": notice,
        "asks": asks,
        "left": left,
        "attached": attached,
        "taken": taken,
        "look": look,
        "knows": knows,
    }
