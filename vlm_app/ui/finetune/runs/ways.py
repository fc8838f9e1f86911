"""What is done with an adapter from the place of runs: chat with it, merge it, push it, delete it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app import hub
from vlm_app.catalog import find
from vlm_app.engine import Engine
from vlm_app.errors import AppError, BadInput, NotFound
from vlm_app.finetune.adapters import Adapters
from vlm_app.finetune.runs import Runs
from vlm_app.types import Task
from vlm_app.ui.page import Parts
from vlm_app.ui.settings_panel import BASE
from vlm_app.ui.showing import Showing, Updates, Values

_TOKEN = "Pushing takes a token of your own that may write: make one on huggingface.co and paste it."


class Ways:
    """The ways of an owner's adapters."""

    def __init__(self, adapters: Adapters, runs: Runs, engine: Engine, showing: Showing) -> None:
        self.adapters = adapters
        self.runs = runs
        self.engine = engine
        self.showing = showing
        self.parts: Parts = showing.on

    # --- chatting ---------------------------------------------------------------------------

    @property
    def picks(self) -> list[Component]:
        """What `chat` updates."""
        return self.showing.picked

    @property
    def asked(self) -> set[Component]:
        """What `chat` reads."""
        on = self.parts
        return {on.chat, on.task, on.panel.precision, on.panel.adapter}

    def chat(self, owner: str, id: str, values: Values) -> Updates:
        """The chat is shown, and the base with the adapter answers. Raises `NotFound`."""
        self.adapters.card(owner, id)
        run = self.runs.run(owner, id)
        if run.config is None:
            raise BadInput(run.status.sentence)
        row, panel = find(run.config.base), self.parts.panel
        made = [(each.name, each.id) for each in self.engine.adapters(row.id, owner)]
        task = Task(values[self.parts.task] or Task.CHAT)
        updates = self.showing.pick(row, task, values, owner)
        precision, _ = self.showing.chosen(values)
        updates[panel.adapter] = gr.update(choices=[BASE, *made], value=id, visible=True)
        updates[self.parts.chip] = self.showing.chip(row.id, precision, id)
        return updates

    # --- what takes long --------------------------------------------------------------------

    def merge(self, owner: str, id: str) -> Iterator[str]:
        """Sentences while the adapter is merged into its base; its card then says where the model is."""

        def work(tell: Callable[[str], None]) -> str:
            self.adapters.merge(owner, id, tell)
            return "It is merged."

        yield from _aloud(work)

    def add_merged(self, owner: str, id: str) -> str:
        """The merged model is put among the models; says how it is called there."""
        row = hub.add(str(self._merged(owner, id)))
        return f"The merged model is '{row.name}' now: choose it on the page Models."

    def _merged(self, owner: str, id: str) -> Path:
        if (folder := self.adapters.merged(owner, id)) is None:
            raise NotFound("The merged model is not there any more: merge the adapter again.")
        return folder

    def push(self, owner: str, id: str, asked: Mapping[str, Any]) -> Iterator[str]:
        """The adapter, or the merged model, is uploaded with the person's token, which is kept nowhere."""
        repo, token = str(asked.get("repo") or "").strip(), str(asked.get("token") or "").strip()
        if not token:
            raise BadInput(_TOKEN)
        yield "Pushing to the Hub…"
        merged = self._merged(owner, id) if asked.get("merged") else None
        address = self.adapters.push(owner, id, repo, token, bool(asked.get("private")), merged)
        yield f"It is on the Hub now: {address}"

    def delete(self, owner: str, id: str) -> None:
        """Remove the adapter; the run stays. Raises as `Adapters.delete` does."""
        self.adapters.delete(owner, id)


def _aloud(work: Callable[[Callable[[str], None]], str]) -> Iterator[str]:
    """What `work` tells while it goes on in a thread, and then what it returns. Raises what it raises."""
    told: queue.Queue[str | None] = queue.Queue()
    ended: list[str | AppError | OSError] = []

    def run() -> None:
        try:
            ended.append(work(told.put))
        except (AppError, OSError) as error:
            ended.append(error)
        finally:
            told.put(None)

    threading.Thread(target=run, name="merge", daemon=True).start()
    while (sentence := told.get()) is not None:
        yield sentence
    if not ended:
        raise BadInput("Merging ended by a fault in the app: the app's log has the details.")
    if not isinstance(ended[0], str):
        raise ended[0]
    yield ended[0]
