"""The place of datasets on the tab Fine-tune: what stands where. `assets/finetune-datasets.js` draws
what is open from what the server tells; what a person or a file wrote is HTML of `render`."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from vlm_app.ui.finetune.datasets.fixed import TOP, empty
from vlm_app.ui.steady import steady

BRIDGE = "window.vlmTune = {act: (data) => trigger('click', data), teach: (data) => trigger('submit', data)};"


@dataclass(frozen=True)
class DatasetsPart:
    """The components of the place."""

    list: gr.HTML  # the visitor's datasets
    arrival: gr.HTML  # an upload: how far it is, and what it brings
    dataset: gr.HTML  # the one that is open, and what is in it
    gallery: gr.HTML  # its examples, a page of them
    example: gr.HTML  # one of them
    taught: gr.HTML  # as a model is taught it
    told: gr.Textbox  # what the browser draws, as JSON
    bridge: gr.HTML  # what the browser reports to

    @classmethod
    def build(cls) -> DatasetsPart:
        """Draws the place where it is called."""
        with gr.Column(elem_id="tune"):
            with gr.Column(elem_id="tune-side", min_width=80):
                gr.HTML(TOP, elem_id="tune-top", js_on_load=None)
                listed = steady(elem_id="tune-list")
            with gr.Column(elem_id="tune-main", min_width=80):
                arrival = steady(elem_id="tune-arrival")
                gr.HTML(empty(), elem_id="tune-empty", js_on_load=None)
                dataset = steady(elem_id="tune-dataset")
                gallery = steady(elem_id="tune-gallery")
                with gr.Column(elem_id="tune-one", min_width=80):
                    example = steady(elem_id="tune-example")
                    taught = steady(elem_id="tune-taught")
        told = gr.Textbox(visible=False)
        bridge = gr.HTML(elem_id="tune-bridge", js_on_load=BRIDGE)
        return cls(listed, arrival, dataset, gallery, example, taught, told, bridge)
