"""What happens in the place of datasets. Nothing of a visitor is kept here: what a browser tab shows
is known by that tab, and whose it is comes from the signed cookie of each request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from vlm_app.api.offered import is_offered
from vlm_app.api.people import owner_of, person_of
from vlm_app.catalog import catalog
from vlm_app.finetune.workshop import Workshop
from vlm_app.people import Act, check
from vlm_app.ui.finetune.datasets.acts import Acts, Press
from vlm_app.ui.finetune.datasets.part import DatasetsPart
from vlm_app.ui.told import Told

TELL = "(told) => window.vlmTuneTell(told)"
OPENED = "() => { window.vlmTuneOpened() }"
START = "() => { window.vlmTuneStart() }"


class DatasetsListeners:
    """The listeners of the place, for a page that was just drawn."""

    def __init__(self, on: DatasetsPart, workshop: Workshop) -> None:
        self.on = on
        self.acts = Acts(on, workshop)

    def connect(self, tabs: Sequence[gr.Tab], loaded: Any) -> None:
        """Ties events to listeners; `loaded` is the end of the page's first load."""
        on = self.on
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        shown = [on.list, on.arrival, on.dataset, on.gallery, on.example, on.taught, on.told]
        on.bridge.click(self.act, None, shown, trigger_mode="multiple", **quiet)  # no press is lost
        on.bridge.submit(self.teach, None, [on.taught], trigger_mode="always_last", **quiet)
        on.told.change(None, [on.told], None, js=TELL, queue=False, **quiet)
        for tab in tabs:
            tab.select(None, None, None, js=OPENED, **quiet)
        loaded.then(None, None, None, js=START, **quiet)

    def act(self, event: gr.EventData, request: gr.Request) -> Any:
        """A press: what it changes; where it fails, a sentence, and the browser goes on."""
        asked = dict(event._data or {})
        with Told():
            owner = owner_of(request)
            return self.acts.do(Press(owner, asked))
        return {self.on.told: self.acts.refused(asked)}

    def teach(self, event: gr.EventData, request: gr.Request) -> Any:
        """The training text of the example that is shown."""
        with Told():
            press = Press(owner_of(request), dict(event._data or {}))
            row = catalog().get(press.text("model"))
            if row is not None and not is_offered(row):  # its processor may have to be fetched
                check(person_of(request), Act.LOAD)
            return self.acts.teach(press)
        return {self.on.taught: gr.skip()}
