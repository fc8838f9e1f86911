"""The place of runs on the tab Fine-tune: what stands where. Curves and answers are drawn by
`assets/finetune-runs.js` from what the server tells; what a person or a model wrote is HTML of `render`.

The place of datasets hands one over in the browser: it opens this place and dispatches the event
`vlm-teach` on the document, whose `detail.dataset` is the dataset's id.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from vlm_app.ui.finetune.runs.fields import form
from vlm_app.ui.finetune.runs.fixed import PLOTS, SAMPLES, TOP
from vlm_app.ui.steady import steady

BRIDGE = (
    "window.vlmRuns = {act: (data) => trigger('click', data), check: (data) => trigger('input', data), "
    "slow: (data) => trigger('submit', data), chat: (data) => trigger('select', data)};"
)
BEAT = 1.5  # seconds between two looks at the runs while they are shown


@dataclass(frozen=True)
class RunsPart:
    """The components of the place."""

    why: gr.HTML  # what is not the visitor's to do here
    list: gr.HTML  # the visitor's runs
    head: gr.HTML  # the one that is open: how it stands, and what can be done
    helped: gr.HTML  # whether it helped
    then: gr.HTML  # what to do with its adapter
    news: gr.Textbox  # what the browser draws of the runs, as JSON
    told: gr.Textbox  # what came of a press, as JSON
    checked: gr.Textbox  # what is to be said of the settings, as JSON
    slow: gr.Textbox  # what came of something that takes long, as JSON
    look: gr.Textbox  # what the browser shows, as it says itself
    bridge: gr.HTML  # what the browser reports to
    watch: gr.Timer

    @classmethod
    def build(cls) -> RunsPart:
        """Draws the place where it is called."""
        with gr.Column(elem_id="runs"):
            with gr.Column(elem_id="runs-side", min_width=80):
                gr.HTML(TOP, elem_id="runs-top", js_on_load=None)
                listed = steady(elem_id="runs-list")
            with gr.Column(elem_id="runs-main", min_width=80):
                why = steady(elem_id="runs-why")
                gr.HTML(form(), elem_id="runs-form", js_on_load=None)
                head = steady(elem_id="run-head")
                helped = steady(elem_id="run-helped")
                then = steady(elem_id="run-then")
                gr.HTML(PLOTS, elem_id="run-plot-place", js_on_load=None)
                gr.HTML(SAMPLES, elem_id="run-sample-place", js_on_load=None)
        news, told, checked, slow, look = (gr.Textbox(visible=False) for _ in range(5))
        bridge = gr.HTML(elem_id="runs-bridge", js_on_load=BRIDGE)
        watch = gr.Timer(BEAT, active=False)
        return cls(why, listed, head, helped, then, news, told, checked, slow, look, bridge, watch)

    @property
    def shown(self) -> list[Component]:
        """What shows the runs as they are."""
        return [self.list, self.head, self.helped, self.then, self.news]
