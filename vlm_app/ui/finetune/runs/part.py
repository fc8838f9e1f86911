"""The place of runs on the tab Fine-tune: what stands where.

The place of datasets hands one over in the browser: it opens this place and dispatches the event
`vlm-teach` on the document, whose `detail.dataset` is the dataset's id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from vlm_app.api.owner import Owners
from vlm_app.engine import Engine
from vlm_app.finetune.runs import Run, Runs
from vlm_app.store import Store
from vlm_app.ui.told import Told


@dataclass(frozen=True)
class RunsPart:
    """The components of the place."""

    list: gr.HTML

    @classmethod
    def build(cls) -> RunsPart:
        """Draws the place where it is called."""
        return cls(list=gr.HTML(elem_id="runs-list", js_on_load=None))

    def connect(
        self, runs: Runs, store: Store, engine: Engine, owners: Owners, tab: gr.Tab, clock: gr.Timer
    ) -> None:
        """Ties events to listeners; `tab` is the place itself."""

        def shown(request: gr.Request) -> Any:
            with Told():
                return listed(runs.runs(owners.of(request.cookies)))
            return gr.skip()

        tab.select(shown, None, [self.list], api_visibility="private", show_progress="hidden")


def listed(runs: Sequence[Run]) -> str:
    """The runs of a visitor, one line each."""
    lines = "".join(f"<li>{escape(run.name)} <small>{escape(run.state)}</small></li>" for run in runs)
    return f"<ol>{lines}</ol>" if runs else "<p>No model was taught yet.</p>"
