"""What happens on the page 'Models'. Nothing of a visitor is kept here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app import hub
from vlm_app.api import senders
from vlm_app.api.offered import allowed
from vlm_app.api.people import person_of
from vlm_app.catalog import catalog, find
from vlm_app.errors import BadInput
from vlm_app.people import Act, Person, check
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Task
from vlm_app.ui import model_bar
from vlm_app.ui.hub_results import account, added, results
from vlm_app.ui.models_table import counted, table
from vlm_app.ui.page import Parts
from vlm_app.ui.showing import Showing, Updates, Values
from vlm_app.ui.told import Told

FOLDERS_AT_HOME = (
    "Folders are added at the computer that the app runs on: open it there as 127.0.0.1, "
    "or run 'vlm-app models add'."
)
TOKENS_AT_HOME = (
    "A token is given at the computer that the app runs on: open it there as 127.0.0.1, "
    "or set HF_TOKEN before the app starts."
)
SHOW = "(ids) => window.vlmShow(ids)"


class ModelListeners:
    """The listeners of the page, for `Parts` that were just drawn."""

    def __init__(self, parts: Parts, showing: Showing) -> None:
        self.on = parts
        self.page = parts.models
        self.showing = showing

    # --- wiring -----------------------------------------------------------------------

    def connect(self) -> None:
        """Ties events to listeners; the browser hides what the filters leave out."""
        page, filters = self.page, self.page.filters
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        asked: set[Component] = {*filters.fields, page.drawn}
        chosen: list[Component] = [page.ids, page.filters.count]
        drawn = [*chosen, page.table, page.drawn, page.signed]
        self.on.models_tab.select(self.open, asked, drawn, **quiet)
        for field in filters.fields:
            # A text says that it was typed into before it holds what was typed.
            changed = field.change if field is filters.text else field.input
            changed(self.filter, asked, chosen, trigger_mode="always_last", **quiet).then(
                None, [page.ids], None, js=SHOW, **quiet
            )
        filters.clear.click(self.clear, asked, [*chosen, *filters.fields], **quiet).then(
            None, [page.ids], None, js=SHOW, **quiet
        )
        here: set[Component] = {*asked, self.on.chat, self.on.task, self.on.panel.precision}
        added: list[Component] = [*drawn, page.found, page.words]
        pressed: list[Component] = [*added, *self.showing.picked]
        page.bridge.click(self.act, here, pressed, trigger_mode="multiple", **quiet)  # no press is lost
        self._connect_hub(asked, added, quiet)

    def _connect_hub(self, asked: set[Component], added: list[Component], quiet: dict[str, Any]) -> None:
        page = self.page
        slow = quiet | {"show_progress": "minimal", "show_progress_on": [page.found]}
        account: list[Component] = [page.token, page.signed]
        gr.on([page.search.click, page.words.submit], self.search, [page.words], [page.found], **slow)
        page.add.click(self.add, asked | {page.words}, [*added, self.on.model], **slow)
        gr.on([page.sign_in.click, page.token.submit], self.sign_in, [page.token], account, **quiet)
        page.sign_out.click(self.sign_out, None, account, **quiet)

    # --- the table --------------------------------------------------------------------

    def open(self, values: Values) -> Updates:
        """The tab was opened: the table is drawn where the catalog is not the one shown."""
        return self._safely(lambda: self.drawn(values))

    def drawn(self, values: Values) -> Updates:
        """The rows that fit; the table itself where it is not the one that is shown."""
        rows = list(catalog().values())
        shown = self._fitting(values, rows)
        html = table(rows, shown)
        version = hashlib.sha256(table(rows, ()).encode()).hexdigest()
        updates = self._shown(shown, rows)
        updates[self.page.signed] = account(hub.signed_in())
        if version != values[self.page.drawn]:
            updates |= {self.page.table: html, self.page.drawn: version}
        return updates

    def filter(self, values: Values) -> Updates:
        """Another filter: the rows that fit."""
        rows = list(catalog().values())
        return self._safely(lambda: self._shown(self._fitting(values, rows), rows))

    def clear(self, values: Values) -> Updates:
        """Every filter is taken away."""
        fields, cleared = self.page.filters.fields, self.page.filters.cleared()
        free = dict(zip(fields, cleared, strict=True))
        return free | self.filter({**values, **free})

    def _fitting(self, values: Values, rows: list[Checkpoint]) -> list[str]:
        filters = self.page.filters
        return filters.choose(rows, [values[field] for field in filters.fields])

    def _shown(self, shown: list[str], rows: list[Checkpoint]) -> Updates:
        line = f'<p role="status">{counted(len(shown), rows)}</p>'
        return {self.page.ids: json.dumps(shown), self.page.filters.count: line}

    # --- buttons inside the table and the results of a search ---------------------------

    def act(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """A button of a row, or of a result, was pressed."""
        asked = dict(event._data or {})
        return self._safely(lambda: self._acted(person_of(request), asked, values))

    def _acted(self, person: Person, asked: dict[str, Any], values: Values) -> Updates:
        model = str(asked.get("model") or "")
        if asked.get("act") == "add":
            return self._added(person, model, values)
        row, task = find(model), Task(values[self.on.task] or Task.CHAT)
        allowed(person, self.showing.engine, row.id)
        return self.showing.pick(row, task, values, person.owner)

    # --- more models --------------------------------------------------------------------

    def search(self, words: str, request: gr.Request) -> Any:
        """The Hub was asked for words."""
        with Told():
            check(person_of(request), Act.MODELS)
            return results(words, hub.search_hub(words.strip()))
        return gr.skip()

    def add(self, values: Values, request: gr.Request) -> Updates:
        """What stands in the box is added, by its id on the Hub or as a folder."""
        source = str(values[self.page.words] or "").strip()
        return self._safely(
            lambda: self._added(person_of(request), source, values, folders=is_at_home(request))
        )

    def _added(self, person: Person, source: str, values: Values, folders: bool = False) -> Updates:
        check(person, Act.MODELS)
        if not folders and Path(source).expanduser().is_absolute():
            raise BadInput(FOLDERS_AT_HOME)
        row = hub.add(source, folders)
        updates = self.drawn(values) | {self.page.found: added(row.name), self.page.words: ""}
        return updates | {self.on.model: gr.update(choices=model_bar.models(catalog()))}

    # --- the account --------------------------------------------------------------------

    def sign_in(self, token: str, request: gr.Request) -> list[Any]:
        """A token was given. It goes to the Hub's account and nowhere else; the field is emptied."""
        with Told():
            check(person_of(request), Act.ACCOUNT)
            if not is_at_home(request):
                raise BadInput(TOKENS_AT_HOME)
            hub.sign_in(token)
        return ["", account(hub.signed_in())]

    def sign_out(self, request: gr.Request) -> list[Any]:
        """The token is forgotten."""
        with Told():
            check(person_of(request), Act.ACCOUNT)
            if not is_at_home(request):
                raise BadInput(TOKENS_AT_HOME)
            hub.sign_out()
        return ["", account(hub.signed_in())]

    def _safely(self, make: Callable[[], Updates]) -> Updates:
        """The updates; where they fail, a sentence, and nothing changes."""
        with Told():
            return make()
        return {self.page.ids: gr.skip()}  # Gradio takes no empty dict


def is_at_home(request: gr.Request) -> bool:
    """Whether whoever asks sits at the computer that the app runs on, and not behind a proxy.

    The token and the folders are that computer's: nobody from elsewhere may set or read them.
    """
    return senders.at_home(request.request.scope, settings().trusted_proxies)
