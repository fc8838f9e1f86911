"""The tab Fine-tune: the two places on it, datasets and runs."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from vlm_app.ui.finetune.datasets.part import DatasetsPart
from vlm_app.ui.finetune.runs.part import RunsPart

DATASETS, RUNS = "datasets", "runs"  # the places


@dataclass(frozen=True)
class FinetunePage:
    """The components of the tab."""

    places: gr.Tabs
    datasets_tab: gr.Tab
    datasets: DatasetsPart
    runs_tab: gr.Tab
    runs: RunsPart

    @classmethod
    def build(cls) -> FinetunePage:
        """Draws the tab where it is called."""
        with gr.Tabs(elem_id="tune-places", selected=DATASETS) as places:
            with gr.Tab("Datasets", id=DATASETS) as datasets_tab:
                datasets = DatasetsPart.build()
            with gr.Tab("Runs", id=RUNS) as runs_tab:
                runs = RunsPart.build()
        return cls(places, datasets_tab, datasets, runs_tab, runs)
