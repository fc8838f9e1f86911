"""The engine on the page: the machine live, what is loaded, the chip, and real models to begin with.

Whatever is shown again and again is made as a whole and sent only where it changed; the
browser then changes what differs, so that nothing moves under somebody's hand.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app import hub, servers
from vlm_app.api.offered import allowed
from vlm_app.api.people import person_of
from vlm_app.catalog import catalog, find
from vlm_app.engine.opening import opening
from vlm_app.engine.states import ModelState
from vlm_app.people import Act, Person, check
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Runs, Task
from vlm_app.ui import machine, offer_cards, verdicts
from vlm_app.ui.page import Parts
from vlm_app.ui.running import Running
from vlm_app.ui.server_words import standing
from vlm_app.ui.showing import Showing, Updates, Values
from vlm_app.ui.told import Told

TELL = "(told) => window.vlmTell(told)"
LOOK = "(...values) => [...values.slice(0, -1), window.vlmSees('#machine') ? 'yes' : '']"


class EngineListeners:
    """The listeners of everything that the engine changes by itself, for `Parts` that were just drawn."""

    def __init__(
        self, parts: Parts, showing: Showing, servers: Callable[[str], Updates], running: Running
    ) -> None:
        """`servers` makes the list of servers, where it is not the one that is known; `running` knows
        whether the app is ending."""
        self.on = parts
        self.page = parts.models
        self.showing = showing
        self.engine = showing.engine
        self._servers = servers
        self._running = running

    def connect(self) -> None:
        """Ties news, timers and buttons to listeners."""
        on, page = self.on, self.page
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        tell: dict[str, Any] = {"js": TELL, **quiet}
        live: list[Component] = [
            page.machine, page.loaded, page.servers_list, page.served, page.told, page.known,
        ]  # fmt: skip
        chosen: set[Component] = {on.model, on.chip, on.panel.precision, on.panel.adapter}
        on.models_tab.select(self.open, [on.shown], [*live, page.watch], **quiet)
        page.watch.tick(
            self.look, [page.machine, page.loaded, page.served, page.known, on.shown],
            [*live, page.watch], js=LOOK, queue=False, **quiet,
        )  # fmt: skip
        page.told.change(None, [page.told], None, queue=False, **tell)
        on.news.click(self.tick, chosen | {on.offers}, [on.chip, on.offers], queue=False, **quiet)
        gr.on([on.panel.precision.input, on.panel.adapter.input], self.tick, chosen | {on.offers},
              [on.chip, on.offers], queue=False, **quiet)  # fmt: skip
        on.panel.fold.expand(self.weigh, [on.model], on.panel.precision, **quiet)
        here: set[Component] = {*chosen, on.offers, on.chat, on.task}
        acted = [*live, on.chip, on.offers, *self.showing.picked]
        on.engine.click(self.act, here, list(dict.fromkeys(acted)), trigger_mode="multiple", **quiet)

    # --- the page of models ---------------------------------------------------------------

    def open(self, shown: str) -> Updates:
        """The page came into sight: it is drawn as it is now, and looked after from here on."""
        with Told():
            return self._live() | {self.page.watch: gr.Timer(active=True)}
        return {self.page.watch: gr.skip()}

    def look(self, drawn: str, loaded: str, served: str, known: str, shown: str) -> list[Any]:
        """What changed since the last look; the timer rests while the page is out of sight."""
        page = self.page
        order = [page.machine, page.loaded, page.servers_list, page.served, page.told, page.known, page.watch]
        if not shown:
            return [gr.Timer(active=False) if part is page.watch else gr.skip() for part in order]
        with Told():
            states = self.engine.models()
            updates: Updates = {page.machine: self._machine(states), page.loaded: self._loaded(states)}
            updates |= self._servers(served)
            same = {page.machine: drawn, page.loaded: loaded}
            if _known(states) != known:
                updates |= self.verdicts()
            return [updates[part] if updates.get(part, gr.skip()) != same.get(part) and part in updates
                    else gr.skip() for part in order]  # fmt: skip
        return [gr.skip() for _ in order]

    def _live(self) -> Updates:
        states = self.engine.models()
        drawn: Updates = {self.page.machine: self._machine(states), self.page.loaded: self._loaded(states)}
        return drawn | self._servers("") | self.verdicts()

    def _machine(self, states: Sequence[ModelState]) -> str:
        return machine.machine(self.engine.devices(), states, self.engine.capacity())

    def _loaded(self, states: Sequence[ModelState]) -> str:
        adapters = [each for state in states if state.adapters for each in self.engine.adapters(state.model)]
        return machine.loaded(states, time.monotonic(), {each.id: each.name for each in adapters})

    def verdicts(self) -> Updates:
        """The cells of the table that change by themselves."""
        states = self.engine.models()
        cells = verdicts.column(catalog().values(), states, self.engine.fit)
        return {self.page.told: cells, self.page.known: _known(states)}

    # --- the chat -------------------------------------------------------------------------

    def tick(self, values: Values) -> Updates:
        """The chip and the offers, where they changed."""
        on = self.on
        with Told():
            now = {on.chip: self._chip(values), on.offers: self._offers()}
            return {part: gr.skip() if html == values[part] else html for part, html in now.items()}
        return {on.chip: gr.skip()}

    def _chip(self, values: Values) -> str:
        return self.showing.chip(values[self.on.model], *self.showing.chosen(values))

    def weigh(self, model: str) -> Any:
        """The settings were unfolded: the verdicts of this moment."""
        return gr.update(choices=self.showing.choices(model).of_precision)

    def _offers(self) -> str:
        """What this place opens with and why; then real models, which nothing of here waits for."""
        return offer_cards.place(opening().why) + self._real()

    def _real(self) -> str:
        """Nothing waits for the network: until it answered, one line says so."""
        if settings().fixed:
            return ""
        reached = hub.reachable()
        if reached is None:
            return offer_cards.LOOKING
        if reached:
            return offer_cards.offered(self.engine.offers(), self.engine.models())
        return offer_cards.offline(_on_disk())

    # --- buttons ----------------------------------------------------------------------------

    def act(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """A button that loads, unloads, cancels, or asks what a model would take."""
        asked = dict(event._data or {})
        with Told():
            return self._acted(person_of(request), asked, values)
        return {self.on.chip: gr.skip()}  # Gradio takes no empty dict

    def _acted(self, person: Person, asked: dict[str, Any], values: Values) -> Updates:
        row, precision = find(str(asked.get("model") or "")), str(asked.get("precision") or "")
        chosen = precision or str(values[self.on.panel.precision] or "auto")
        acts: dict[str, Callable[[], Any]] = {
            "unload": lambda: self.engine.unload(row.id, precision),  # '': what failed before it had one
            "cancel": lambda: self.engine.cancel(row.id),
            "load": lambda: self.engine.warm(row.id, chosen),
            "offer": lambda: self.engine.warm(row.id, "auto"),
        }
        act = str(asked.get("act"))
        if act == "estimate":
            return {self.page.told: self._estimated(row)}
        if act in ("unload", "cancel"):
            check(person, Act.UNLOAD)
        elif act in acts:
            self._running.check()
            allowed(person, self.engine, row.id, chosen if act == "load" else "auto")
        if act in acts:
            acts[act]()
        if act in ("offer", "pick"):
            task = Task(values[self.on.task] or Task.CHAT)
            return self.showing.pick(row, task, values, person.owner) | {self.on.offers: self._offers()}
        return self._live() | self.tick(values)

    def _estimated(self, row: Checkpoint) -> str:
        fits = {precision: self.engine.fit(row.id, precision) for precision in verdicts.ESTIMATED}
        return verdicts.details(row.id, fits)


def _known(states: Sequence[ModelState]) -> str:
    """What the verdicts depend on: who is loaded, who is about to be, and how the servers are."""
    models = [f"{each.model}/{each.precision}/{each.status}" for each in states]
    lately = [(each.name, standing(servers.health(each.name)).words) for each in servers.servers()]
    return " ".join([*models, *(f"{name}/{words}" for name, words in lately)])


def _on_disk() -> list[Checkpoint]:
    """What can be asked without a network; the built-in model needs no mention."""
    kept = hub.on_disk()
    rows = [row for row in catalog().values() if row.runs is Runs.IN_PROCESS]
    return [row for row in rows if row.source in kept or (not row.listed and _is_folder(row.source))]


def _is_folder(source: str) -> bool:
    return Path(source).is_absolute() and Path(source).is_dir()
