"""Updates of the tab's components: a sheet, a finding beside another, an answer on its way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app.catalog import catalog
from vlm_app.engine import Engine
from vlm_app.engine.opening import opening
from vlm_app.errors import NotFound
from vlm_app.types import Checkpoint
from vlm_app.ui import server_words
from vlm_app.ui.state_words import status
from vlm_app.ui.workbench import choosing, render
from vlm_app.ui.workbench.comparing import Compared, compared
from vlm_app.ui.workbench.page import BenchPage
from vlm_app.ui.workbench.ready_buttons import buttons
from vlm_app.ui.workbench.telling import finding_data, sheet_data, told
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.detail import TASKS
from vlm_app.workbench.sheet import Finding, Sheet

Values = dict[Component, Any]
Updates = dict[Component, Any]


@dataclass(frozen=True)
class BenchShowing:
    """Makes updates for the components of one tab. Holds nothing of a visitor."""

    on: BenchPage
    bench: Bench
    engine: Engine

    # --- sheets and findings ----------------------------------------------------------------

    def sheet(self, owner: str, sheet: Sheet, finding: str = "", page: str = "") -> Updates:
        """A sheet with one of its findings; without a name the latest that is no second opinion."""
        findings = self.bench.findings(owner, sheet.id)
        first = [each for each in findings if not each.beside]
        shown = next((each for each in findings if each.id == finding), first[-1] if first else None)
        around = {
            self.on.sheet: sheet.id,
            self.on.name: render.name(sheet, self.bench.recent(owner)),
            self.on.progress: "",
        }
        return around | self.finding(owner, sheet, shown, page=page)

    def edited(self, owner: str, sheet: Sheet, kept: Finding) -> Updates:
        """A finding that was changed: the browser has drawn the change already, on the page that it shows."""
        findings = self.bench.findings(owner, sheet.id)
        both = compared(kept, next((each for each in findings if each.beside == kept.id), None))
        news = told(edited=kept.id, updated=kept.updated.isoformat(), **_news(kept, both))
        return self.finding(owner, sheet, kept) | {self.on.told: news}

    def finding(self, owner: str, sheet: Sheet, shown: Finding | None, *, page: str = "") -> Updates:
        """A finding with its second opinion."""
        findings = self.bench.findings(owner, sheet.id)
        updates: Updates = {
            self.on.finding: shown.id if shown else "",
            self.on.history: render.history(
                findings, shown.id if shown else "", catalog(), datetime.now().astimezone(), sheet.kind
            ),
        }
        if shown is None:
            return updates | {
                self.on.answer: "",
                self.on.told: told(sheet=sheet_data(sheet), finding=None, beside=None, page=page),
            }
        other = next((each for each in findings if each.beside == shown.id), None)
        return updates | self.pair(sheet, shown, compared(shown, other), page=page)

    def pair(
        self, sheet: Sheet, shown: Finding, both: Compared | None, *, page: str = "", own: bool = False
    ) -> Updates:
        """Two findings beside each other, or one alone; `own`: the file's own text is among them."""
        sides = both.first if both else {}
        around = render.Around(sheet, catalog(), sides, both.words if both else ())
        beside = ""
        if both:
            second = render.Around(sheet, catalog(), both.second, both.other_words)
            beside = render.opinion(both.other, second, both.agreed)
        updates: Updates = {self.on.answer: render.answer(shown, around, fixed=own, beside=beside)}
        updates[self.on.told] = told(sheet=sheet_data(sheet), page=page, own=own, **_news(shown, both))
        return updates

    def blank(self, owner: str) -> Updates:
        """Nothing is open."""
        return {
            self.on.sheet: "",
            self.on.finding: "",
            self.on.name: render.name(None, self.bench.recent(owner)),
            self.on.answer: "",
            self.on.history: "",
            self.on.progress: "",
            self.on.told: told(sheet=None, finding=None, beside=None),
        }

    def recent(self, owner: str) -> Updates:
        """What was opened lately."""
        return {self.on.name: render.name(None, self.bench.recent(owner))}

    def restored(self, owner: str, sheet: str, finding: str) -> Updates:
        """What was open before a reload; nothing, where it is gone."""
        if not sheet:
            return self.blank(owner)
        try:
            return self.sheet(owner, self.bench.sheet(owner, sheet), finding)
        except NotFound:
            return self.blank(owner)

    # --- an answer on its way ---------------------------------------------------------------

    def growing(self, sheet: Sheet, finding: Finding, progress: str) -> Updates:
        """What there is of an answer."""
        around = render.Around(sheet, catalog(), {})
        return {
            self.on.answer: render.answer(finding, around, fixed=True),
            self.on.progress: progress,
            self.on.told: told(finding=finding_data(finding, live=True), beside=None, of=sheet.id),
        }

    def waiting(self, model: str) -> str:
        """What is going on before the first word."""
        rows = catalog()
        if model not in rows:
            return ""
        name, server = rows[model].name, rows[model].server
        state = self.engine.state(model) if not server else None
        if server:
            said = f"{server} has the question…"
        elif state is not None and state.status == "waiting":
            said = state.detail
        elif state is not None and state.status == "loading":
            said = f"{name} is {status(state)}…"
        else:
            said = f"{name} is looking…"
        return f'<p class="status" role="status">{escape(said)}</p>'

    # --- who is asked -----------------------------------------------------------------------

    def model(self, values: Values, asks: Callable[[Checkpoint], bool]) -> Updates:
        """Another model or task was chosen: what can be asked, and who would answer, of those whom
        the visitor `asks`."""
        on, default = self.on, self.default
        rows = {row.id: row for row in catalog().values() if row.id == default or asks(row)}
        model = values[on.model] if values[on.model] in rows else choosing.AUTOMATIC
        choices = choosing.tasks(rows, model, default)
        kept = [value for _, value in choices if value == values[on.task]]
        choice = kept[0] if kept else choices[0][1]
        hint = choosing.hint(choice)
        task = choosing.task_of(choice)
        others = choosing.second(rows, task)
        second = next((id for _, id in others if id == values[on.second]), choosing.NOBODY)
        return {
            on.model: _offer(choosing.first(rows), model, values[on.model]),
            on.second: _offer(others, second, values[on.second]),
            on.task: _offer(choices, choice, values[on.task]),
            on.query: gr.update(visible=hint is not None, placeholder=hint or ""),
            on.chip: self.chip(model, choice),
            on.ready: buttons(rows[model or default]) + self._goes(model, second),
            on.detail: gr.update(visible=task in TASKS),
        }

    def _goes(self, *models: str) -> str:
        """Where images go that leave this computer."""
        rows = catalog()
        lines = dict.fromkeys(server_words.leaves(rows[each]) for each in models if each in rows)
        return "".join(f'<p class="hint goes">{escape(line)}</p>' for line in lines if line)

    def chip(self, model: str, choice: str) -> str:
        """The state of the model that would answer."""
        rows, task = catalog(), choosing.task_of(choice)
        id = choosing.answering(self.engine, rows, model, self.default, task)
        return choosing.chip(self.engine, rows[id]) if id in rows else ""

    @property
    def default(self) -> str:
        """The model that answers where none was chosen."""
        here = choosing.runnable(catalog())
        return next((row for row in here if row.id == opening().model), here[0]).id


def progress(done: int, total: int, unit: str) -> str:
    """'page 3 of 12' while several are asked."""
    if total <= 1:
        return ""
    return f'<p class="status" role="status">{unit} {min(done + 1, total)} of {total}</p>'


def _news(shown: Finding, both: Compared | None) -> dict[str, Any]:
    """A finding and its second opinion as the browser draws them."""
    if both is None:
        return {"finding": finding_data(shown, {}), "beside": None}
    sides = {"finding": finding_data(shown, both.first), "beside": finding_data(both.other, both.second)}
    return sides | {"names": [_name(shown), _name(both.other)]}


def _name(finding: Finding) -> str:
    row = catalog().get(finding.question.model)
    return row.name if row else finding.question.model or render.OWN


def _offer(choices: list[tuple[str, str]], value: str, before: str) -> Any:
    """What can be chosen. What is chosen is told where it changes: the next one may be picked by now."""
    return gr.update(choices=choices) if value == before else gr.update(choices=choices, value=value)
