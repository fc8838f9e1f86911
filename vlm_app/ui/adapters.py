"""The adapters of the chosen model in the chat's settings: those of the visitor, each with its card."""

from __future__ import annotations

from typing import Any

import gradio as gr

from vlm_app.api.people import owner_of
from vlm_app.catalog import catalog
from vlm_app.engine import Engine
from vlm_app.errors import AppError
from vlm_app.finetune.adapters import Adapters
from vlm_app.ui.adapter_card import card_html, unknown
from vlm_app.ui.page import Parts
from vlm_app.ui.settings_panel import Choices
from vlm_app.ui.told import Told


class AdapterListeners:
    """What follows when another model or adapter is chosen, for `Parts` that were just drawn."""

    def __init__(self, parts: Parts, engine: Engine, adapters: Adapters) -> None:
        self.on = parts
        self.engine = engine
        self.adapters = adapters

    def connect(self) -> None:
        """Ties events to listeners. A run may have made an adapter since the page was opened."""
        on, panel = self.on, self.on.panel
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
        gr.on([on.model.change, panel.fold.expand], self.offer, [on.model], [panel.adapter], **quiet)
        panel.adapter.change(self.card, [panel.adapter], [panel.card], **quiet)

    def offer(self, model: str, request: gr.Request) -> Any:
        """The adapters that this visitor may use on the model."""
        with Told():
            row = catalog().get(model)
            made = self.engine.adapters(row.id, owner_of(request)) if row else ()
            return gr.update(choices=Choices(adapters=made).of_adapter, visible=bool(made))
        return gr.skip()

    def card(self, adapter: str | None, request: gr.Request) -> Any:
        """What is known of the adapter that was chosen; nothing of none."""
        if not adapter:
            return ""
        try:
            return card_html(self.adapters.card(owner_of(request), adapter))
        except AppError as error:
            return unknown(error.sentence)
