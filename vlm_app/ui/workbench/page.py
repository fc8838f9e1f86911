"""The tab Workbench: what stands where. The strip, the stage and the report are drawn by
`assets/workbench.js` from what the server tells; what a person or a model wrote is HTML of
`render`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from vlm_app import limits
from vlm_app.types import Checkpoint, Task
from vlm_app.ui.steady import steady
from vlm_app.ui.workbench import choosing
from vlm_app.ui.workbench.fixed import REPORT, RUN, STAGE, STRIP, empty

BRIDGE = (
    "window.vlmBench = {quick: (data) => trigger('click', data), ask: (data) => trigger('submit', data), "
    "stop: (data) => trigger('stop', data)};"
)
OPENS = ["image", "video", ".pdf"]
READS_BACK = [".json", ".zip"]


@dataclass(frozen=True)
class BenchPage:
    """The components of the tab."""

    first: gr.HTML  # the screen before anything is opened
    upload: gr.UploadButton
    name: gr.HTML  # what is open, and what was lately
    model: gr.Dropdown
    chip: gr.HTML
    second: gr.Dropdown
    task: gr.Radio
    ready: gr.HTML
    query: gr.Textbox
    detail: gr.Checkbox
    progress: gr.HTML
    answer: gr.HTML
    history: gr.HTML
    take: gr.UploadButton  # regions of a file
    sheet: gr.Textbox  # the id of what is open; empty for nothing
    finding: gr.Textbox  # the id of the finding that is shown
    told: gr.Textbox  # what the browser draws, as JSON
    bridge: gr.HTML  # what the browser reports to

    @classmethod
    def build(cls, rows: Mapping[str, Checkpoint], default: str) -> BenchPage:
        """Draws the tab where it is called."""
        with gr.Column(elem_id="bench"):
            with gr.Row(elem_id="bench-bar"):
                upload = gr.UploadButton(
                    "Open…", file_types=OPENS, file_count="multiple", size="sm", elem_id="bench-open",
                    min_width=80, scale=0,
                )  # fmt: skip
                name = steady(elem_id="bench-name", min_width=80)
                model = _picker(choosing.first(rows), choosing.AUTOMATIC, "Model", "bench-model")
                chip = steady(elem_id="bench-chip", min_width=40)
                second = _picker(
                    choosing.second(rows, Task.CAPTION), choosing.NOBODY, "Compare with", "bench-second"
                )
            first = steady(empty(limits.of(None).pages), elem_id="bench-empty")
            with gr.Row(elem_id="bench-body"):
                gr.HTML(STRIP, elem_id="bench-strip", js_on_load=None, min_width=80)
                gr.HTML(STAGE, elem_id="bench-stage", js_on_load=None, min_width=80)
                with gr.Column(elem_id="bench-side", min_width=80):
                    asking = _asking(rows, default)
                    answer = steady(elem_id="bench-answer")
                    history = steady(elem_id="bench-history")
                    gr.HTML(REPORT, elem_id="bench-report", js_on_load=None)
                    take = gr.UploadButton(
                        "Import regions (COCO, Label Studio, JSON)", file_types=READS_BACK, size="sm",
                        elem_id="bench-take",
                    )  # fmt: skip
        sheet, finding, told = (gr.Textbox(visible=False) for _ in range(3))
        bridge = gr.HTML(elem_id="bench-bridge", js_on_load=BRIDGE)
        top, below = (upload, name, model, chip, second), (answer, history, take)
        return cls(first, *top, *asking, *below, sheet, finding, told, bridge)

    @property
    def asked(self) -> set[Component]:
        """What listeners read."""
        return {self.sheet, self.finding, self.model, self.second, self.task, self.query, self.detail}


def _asking(
    rows: Mapping[str, Checkpoint], default: str
) -> tuple[gr.Radio, gr.HTML, gr.Textbox, gr.Checkbox, gr.HTML]:
    """What is asked, and of whom."""
    choices = choosing.tasks(rows, choosing.AUTOMATIC, default)
    task = gr.Radio(
        choices, value=choices[0][1], label="Task", show_label=False, container=False, elem_id="bench-task"
    )
    query = gr.Textbox(
        label="What about", show_label=False, container=False, max_lines=4, elem_id="bench-query",
        visible=choosing.hint(choices[0][1]) is not None,
    )  # fmt: skip
    ready = steady(elem_id="bench-ready")
    detail = gr.Checkbox(
        label="Detail", info="Asks about each tile of a large image: small things get seen, and it takes "
        "as many times as long.", container=False, elem_id="bench-detail",
    )  # fmt: skip
    gr.HTML(RUN, elem_id="bench-run", js_on_load=None)
    return task, ready, query, detail, steady(elem_id="bench-progress")


def _picker(choices: list[tuple[str, str]], value: str, label: str, id: str) -> gr.Dropdown:
    return gr.Dropdown(
        choices, value=value, label=label, show_label=False, container=False, filterable=True,
        elem_id=id, min_width=120, scale=0,
    )  # fmt: skip
