"""What happens with servers on the page 'Models': adding, looking again, correcting, removing.

A server is asked in the background, in a line of its own, and never for longer than its time
limit: one that is down costs its own row only.
"""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app import servers
from vlm_app.api.people import person_of
from vlm_app.catalog import catalog
from vlm_app.people import Act, check
from vlm_app.types import Task
from vlm_app.ui import model_bar
from vlm_app.ui.models_listeners import ModelListeners
from vlm_app.ui.page import Parts
from vlm_app.ui.servers_list import section
from vlm_app.ui.servers_page import pick
from vlm_app.ui.showing import Showing, Updates, Values, checkpoint_of
from vlm_app.ui.told import Told

SERVED = "() => { window.vlmServed() }"
MOST = 8  # servers that are asked at the same time


class ServersListeners:
    """The listeners of servers, for `Parts` that were just drawn."""

    def __init__(self, parts: Parts, showing: Showing, table: ModelListeners) -> None:
        self.on = parts
        self.page = parts.models
        self.form = parts.models.servers
        self.showing = showing
        self.table = table
        self._asking: Counter[str] = Counter()
        self._lock = threading.Lock()

    def connect(self, verdicts: Callable[[], Updates], tell: str) -> None:
        """Ties buttons to listeners; `verdicts` are the cells that `tell` puts into a new table."""
        self._verdicts = verdicts
        page, form, on = self.page, self.form, self.on
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        lines: dict[str, Any] = {**quiet, "concurrency_id": "servers", "concurrency_limit": MOST}
        picked = (on.model, on.task, on.chat, on.panel.precision)
        here: set[Component] = {*page.filters.fields, page.drawn, *picked}
        shown: list[Component] = [page.served, page.told, page.known, page.ids, page.filters.count]
        drawn = [*shown, page.servers_list, page.table, page.drawn, page.signed, *self.showing.around_model]
        form.kind.input(None, [form.kind, form.name, form.url], form.usual, js=pick(), **quiet)
        sent = gr.on(
            [form.add.click, form.key.submit, form.url.submit, form.name.submit], self.add,
            here | form.given, [*drawn, form.name, form.key], trigger_mode="multiple", **lines,
        )  # fmt: skip
        acted = form.bridge.click(self.act, here, drawn, trigger_mode="multiple", **lines)
        for done in (sent, acted):
            done.then(None, [page.told], None, js=tell, **quiet)
        acted.then(None, None, None, js=SERVED, **quiet)

    # --- buttons --------------------------------------------------------------------------

    def add(self, values: Values, request: gr.Request) -> Iterator[Updates]:
        """A server was given. Its key goes into its file and nowhere else; the field is emptied."""
        form = self.form
        name, url, kind, key = (
            str(values[each] or "") for each in (form.name, form.url, form.kind, form.key)
        )
        with Told():
            check(person_of(request), Act.SERVERS)
            added = servers.add(name, url, kind, key).name
            yield {form.key: "", form.name: ""}
            yield from self._looked(added, values)
            return
        yield {form.key: ""}

    def act(self, values: Values, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """A button of a server, or another family for one of its models."""
        asked = dict(event._data or {})
        name = str(asked.get("server") or "")
        with Told():
            check(person_of(request), Act.SERVERS)
            match asked.get("act"):
                case "look":
                    yield from self._looked(servers.find(name).name, values)
                case "family":
                    servers.assign(name, str(asked.get("model")), str(asked.get("family")))
                    yield self._drawn(values)
                case "remove":
                    servers.remove(name)
                    yield self._drawn(values)
            return
        yield self._drawn(values)

    def _looked(self, name: str, values: Values) -> Iterator[Updates]:
        """The server is asked for its models; where it fails, its row says so as well."""
        with self._asked(name):
            yield self.now()
            with Told():
                servers.discover(name)
        yield self._drawn(values)

    @contextmanager
    def _asked(self, name: str) -> Iterator[None]:
        with self._lock:
            self._asking[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._asking[name] -= 1

    # --- showing --------------------------------------------------------------------------

    def now(self, known: str = "") -> Updates:
        """The list of servers where it is not the `known` one."""
        with self._lock:
            asking = {name for name, count in self._asking.items() if count > 0}
        html = section(servers.servers(), asking)
        version = hashlib.sha256(html.encode()).hexdigest()
        if version == known:
            return {self.page.servers_list: gr.skip(), self.page.served: gr.skip()}
        return {self.page.servers_list: html, self.page.served: version}

    def _drawn(self, values: Values) -> Updates:
        """Everything that a change of the servers' models shows in."""
        return self.now() | self.table.drawn(values) | self._verdicts() | self._chosen(values)

    def _chosen(self, values: Values) -> Updates:
        """The chosen model's tasks and state; another model where it is gone."""
        model, task = str(values[self.on.model] or ""), Task(values[self.on.task] or Task.CHAT)
        row = checkpoint_of(model)
        if row.id != model:
            return self.showing.choice(row, task, values)
        if row.server:
            return self.showing.model(row, task)
        return {self.on.model: gr.update(choices=model_bar.models(catalog()))}
