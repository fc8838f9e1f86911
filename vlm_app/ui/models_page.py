"""The page 'Models': filters, the catalog as a table, and ways to more models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app.catalog import choose
from vlm_app.types import Checkpoint, Runs, Task
from vlm_app.ui.languages import language
from vlm_app.ui.models_table import RUNS
from vlm_app.ui.render import TASKS
from vlm_app.ui.servers_page import ServersPage
from vlm_app.ui.steady import steady

ANY = "any"
ADDED = ("On your servers", "added")  # of the picker 'Runs'
GIGABYTES = (2, 4, 6, 8, 12, 16, 24, 48, 80)
BRIDGE = "window.vlmModels = (data) => trigger('click', data);"
TITLE = "<h1>Models</h1>"
CATALOG = "<h2>All models</h2><p>What each one can do, whether it fits here, and where that is written.</p>"
BEAT = 1.0  # seconds between two looks at the machine while the page is shown
HINT = (
    '<p class="hint">The search looks for models of the kind image-text-to-text. Any of them whose '
    "architecture is known here can be added: by its id, or from a folder on this computer.</p>"
)
TOKEN_HINT = (
    '<p class="hint">Gated models are downloaded with your token of the Hugging Face Hub, once you have '
    "accepted their licence. It is never shown again. "
    '<a href="https://huggingface.co/settings/tokens" target="_blank" rel="noopener noreferrer">'
    "Make a token that may read</a></p>"
)


@dataclass(frozen=True)
class Filters:
    """What the table is filtered by; `fields` are a listener's inputs, in the order of `choose`."""

    text: gr.Textbox
    task: gr.Dropdown
    memory: gr.Dropdown
    language: gr.Dropdown
    runs: gr.Dropdown
    permissive: gr.Checkbox
    clear: gr.Button
    count: gr.HTML  # how many rows are left

    @classmethod
    def build(cls, rows: Sequence[Checkpoint]) -> Filters:
        """Draws the filters where it is called."""
        tasks = [(name, task.value) for task, name in TASKS.items()]
        places = [*((RUNS[each], each.value) for each in Runs if each is not Runs.PACKAGE), ADDED]
        with gr.Row(elem_id="model-filters"):
            pickers = {
                "text": gr.Textbox(
                    placeholder="Name, licence, encoder…", label="Search the models", show_label=False,
                    container=False, max_lines=1, min_width=160,
                ),
                "task": _picker("Task", "Any task", tasks),
                "memory": _picker("Memory", "Any size", [(f"Fits in {each} GB", each) for each in GIGABYTES]),
                "language": _picker("Language", "Any language", languages(rows)),
                "runs": _picker("Runs", "Runs anywhere", places),
            }  # fmt: skip
        with gr.Row(elem_id="model-line"):
            return cls(
                **pickers,
                count=steady(elem_id="model-count"),
                permissive=gr.Checkbox(
                    label="Permissive licence", container=False, min_width=152, scale=0, elem_id="permissive"
                ),
                clear=gr.Button("Clear filters", size="sm", min_width=96, scale=0, elem_id="clear-filters"),
            )

    @property
    def fields(self) -> list[Component]:
        return [self.text, self.task, self.memory, self.language, self.runs, self.permissive]

    def choose(self, rows: Iterable[Checkpoint], values: Sequence[Any]) -> list[str]:
        """The ids of the rows that fit what a listener got."""
        text, task, memory, spoken, runs, permissive = values
        fitting = choose(
            rows,
            text=text or "",
            task=Task(task) if _chosen(task) else None,
            memory=int(memory) * 10**9 if _chosen(memory) else None,
            language=spoken if _chosen(spoken) else None,
            permissive=True if permissive else None,
        )
        return [row.id for row in fitting if not _chosen(runs) or runs == _place(row)]

    def cleared(self) -> list[Any]:
        """The values of `fields` that leave nothing out."""
        return ["", ANY, ANY, ANY, ANY, False]


def _place(row: Checkpoint) -> str:
    """What the picker 'Runs' calls where a row runs: an engine of a package runs here like others."""
    if row.server:
        return ADDED[1]
    return (Runs.IN_PROCESS if row.runs.here else row.runs).value


@dataclass(frozen=True)
class ModelsPage:
    """The components of the page."""

    why: gr.HTML  # what is not the visitor's to do here
    machine: gr.HTML
    loaded: gr.HTML
    servers_list: gr.HTML
    served: gr.Textbox  # which list of servers is shown
    watch: gr.Timer  # ticks while the page is shown
    told: gr.Textbox  # verdicts and estimates, for the browser
    known: gr.Textbox  # which models were loaded when the verdicts were made
    servers: ServersPage
    filters: Filters
    table: gr.HTML
    words: gr.Textbox  # what is searched on the Hub, or added
    search: gr.Button
    add: gr.Button
    found: gr.HTML
    token: gr.Textbox
    sign_in: gr.Button
    sign_out: gr.Button
    signed: gr.HTML
    ids: gr.Textbox  # of the rows that fit the filters, as JSON for the browser
    drawn: gr.Textbox  # which table the tab shows
    bridge: gr.HTML  # what buttons inside the table report to

    @classmethod
    def build(cls, rows: Sequence[Checkpoint]) -> ModelsPage:
        """Draws the page where it is called. The table itself comes when the tab is opened."""
        with gr.Column(elem_id="models"):
            gr.HTML(TITLE, js_on_load=None)
            why = steady(elem_id="models-why")
            machine = steady(elem_id="machine")
            loaded = steady(elem_id="loaded")
            served = steady(elem_id="servers"), gr.Textbox(visible=False)
            with gr.Accordion("Add a server", open=False, elem_id="add-a-server"):
                servers = ServersPage.build()
            watch = gr.Timer(BEAT, active=False)
            told, known = gr.Textbox(visible=False), gr.Textbox(visible=False)
            gr.HTML(CATALOG, js_on_load=None)
            with gr.Row(elem_id="model-ways"):
                with gr.Accordion("Add a model", open=False, elem_id="hub"):
                    words, search, add, found = _more()
                with gr.Accordion("Sign in", open=False, elem_id="sign-in"):
                    token, sign_in, sign_out, signed = _account()
            filters = Filters.build(rows)
            table = steady(elem_id="model-table")
            ids = gr.Textbox(visible=False)
            drawn = gr.Textbox(visible=False)
            bridge = gr.HTML(elem_id="model-bridge", js_on_load=BRIDGE)
        ways = (words, search, add, found, token, sign_in, sign_out, signed)
        live = (machine, loaded, *served, watch, told, known)
        return cls(why, *live, servers, filters, table, *ways, ids, drawn, bridge)


def languages(rows: Iterable[Checkpoint]) -> list[tuple[str, str]]:
    """Name and code of each language that a row names, by name."""
    codes = {code for row in rows for code in row.languages}
    return sorted((language(code), code) for code in codes)


def _more() -> tuple[gr.Textbox, gr.Button, gr.Button, gr.HTML]:
    with gr.Row():
        words = gr.Textbox(
            label="Words, a Hub id or a folder", placeholder="ocr small, or org/model, or /a/folder",
            show_label=False, container=False, max_lines=1, min_width=120,
        )  # fmt: skip
        search = gr.Button(
            "Search the Hub", min_width=128, scale=0, variant="primary", size="md", elem_id="hub-search"
        )
        add = gr.Button("Add this", min_width=88, scale=0, size="md", elem_id="hub-add")
    return words, search, add, steady(HINT, elem_id="hub-found")


def _account() -> tuple[gr.Textbox, gr.Button, gr.Button, gr.HTML]:
    signed = steady(elem_id="signed")
    with gr.Row():
        token = gr.Textbox(
            label="Access token of the Hugging Face Hub", placeholder="hf_…", type="password",
            show_label=False, container=False, min_width=160,
            html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
        )  # fmt: skip
        sign_in = gr.Button(
            "Sign in", min_width=88, scale=0, variant="primary", size="md", elem_id="hub-sign-in"
        )
        sign_out = gr.Button("Sign out", min_width=88, scale=0, size="md", elem_id="sign-out")
    gr.HTML(TOKEN_HINT, js_on_load=None)
    return token, sign_in, sign_out, signed


def _picker(name: str, all_of_them: str, choices: Sequence[tuple[str, Any]]) -> gr.Dropdown:
    return gr.Dropdown(
        [(all_of_them, ANY), *choices], value=ANY, label=name, show_label=False, container=False,
        filterable=len(choices) > 12, min_width=120,
    )  # fmt: skip


def _chosen(value: Any) -> bool:
    return value not in (None, "", ANY)
