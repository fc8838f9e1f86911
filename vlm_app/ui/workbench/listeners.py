"""What happens on the tab Workbench. Nothing of a visitor is kept here: what a browser tab shows is
a value of that tab, and whose it is comes from the signed cookie of each request."""

from __future__ import annotations

import contextvars
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from vlm_app.api.offered import allowed, askable
from vlm_app.api.people import owner_of, person_of
from vlm_app.engine import Engine
from vlm_app.errors import NotFound
from vlm_app.people import Person
from vlm_app.types import Answer
from vlm_app.ui.running import Running
from vlm_app.ui.shown import Shown
from vlm_app.ui.told import Told
from vlm_app.ui.workbench import choosing
from vlm_app.ui.workbench.acts import Acts
from vlm_app.ui.workbench.asking import Chosen, pages
from vlm_app.ui.workbench.opening import let_go
from vlm_app.ui.workbench.page import BenchPage
from vlm_app.ui.workbench.render import UNITS
from vlm_app.ui.workbench.showing import BenchShowing, Updates, Values, progress
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding, Kind, Question, Sheet, Step

log = logging.getLogger(__name__)
BEAT = 0.15  # seconds between two pictures of a growing answer
TELL = "(told) => window.vlmBenchTell(told)"
OPENED = "() => { window.vlmBenchOpened() }"
RUNS = "() => { window.vlmBenchDrawRun() }"
RAN = "() => { window.vlmBenchRan() }"
START = "() => { window.vlmBenchStart() }"
RUN = "() => { window.vlmBenchRun() }"


class BenchListeners:
    """The listeners of the tab, for a page that was just drawn."""

    def __init__(self, on: BenchPage, bench: Bench, engine: Engine, acts: Acts, running: Running) -> None:
        self.on = on
        self.bench = bench
        self.engine = engine
        self.acts = acts
        self.showing: BenchShowing = acts.showing
        self.running = running
        self.shown = Shown()

    def connect(self, tab: gr.Tab, news: gr.HTML, loaded: Any) -> None:
        """Ties events to listeners. All that runs a model stands in the queue of the answers; `news` is
        clicked when a model changed by itself, and `loaded` is the end of the page's first load."""
        on = self.on
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        writes: dict[str, Any] = {**quiet, "concurrency_id": "answers", "concurrency_limit": 8}
        shown = [on.sheet, on.finding, on.name, on.answer, on.history, on.progress, on.told]
        asking = [on.model, on.second, on.task, on.query, on.chip, on.ready, on.detail]
        on.bridge.click(self.act, on.asked, shown, trigger_mode="multiple", **quiet)  # no press is lost
        on.bridge.submit(self.ask, on.asked, shown, **writes).then(None, None, None, js=RAN, **quiet)
        on.bridge.stop(self.stop, None, None, queue=False, trigger_mode="multiple", **quiet)
        on.upload.upload(self.open, [on.upload], shown, **quiet)
        on.take.upload(self.take_in, on.asked | {on.take}, shown, **quiet)
        on.told.change(None, [on.told], None, js=TELL, queue=False, **quiet)
        on.query.submit(None, None, None, js=RUN, **quiet)
        loaded.then(None, None, None, js=START, **quiet)
        tab.select(self.choose, on.asked, asking, **quiet).then(None, None, None, js=OPENED, **quiet)
        chosen = [on.model.input, on.second.input, on.task.input]
        picked = gr.on(chosen, self.choose, on.asked, asking, trigger_mode="always_last", **quiet)
        picked.then(None, None, None, js=RUNS, **quiet)
        news.click(self.tick, [on.model, on.task, on.chip], [on.chip], queue=False, **quiet)

    # --- asking -----------------------------------------------------------------------------

    def ask(self, values: Values, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Run, a ready question, or a part that was drawn."""
        asked, tab = dict(event._data or {}), request.session_hash or ""
        with Told():
            owner = owner_of(request)
            sheet = self.bench.sheet(owner, values[self.on.sheet])
            stop = threading.Event()
            with ExitStack() as held:
                held.enter_context(self.running.answer((owner, str(asked.get("run"))), stop))
                steps = self._answered(person_of(request), sheet, values, asked, stop)
                held.enter_context(closing(steps))
                try:
                    for updates in steps:
                        if self.shown.of(tab, sheet.id) != sheet.id:
                            _go_on(steps, held.pop_all())
                            yield self._left(owner, tab, sheet)
                            return
                        yield updates
                except NotFound:
                    if self._is_there(owner, sheet):
                        raise
            return
        with Told():  # what was there before
            yield self.showing.restored(owner_of(request), values[self.on.sheet], values[self.on.finding])

    def _left(self, owner: str, tab: str, sheet: Sheet) -> Updates:
        """Another sheet was opened while this one was asked about: that is shown, as a step may have come
        after it."""
        if self._is_there(owner, sheet):
            gr.Info(f"The question about '{sheet.name}' goes on: its answer will be there.", title="")
        return self.showing.restored(owner, self.shown.of(tab, ""), "")

    def _is_there(self, owner: str, sheet: Sheet) -> bool:
        """Whether a sheet was not deleted while it was asked about: whoever did that knows."""
        try:
            return bool(self.bench.sheet(owner, sheet.id))
        except NotFound:
            return False

    def _answered(
        self, person: Person, sheet: Sheet, values: Values, asked: dict[str, Any], stop: threading.Event
    ) -> Generator[Updates]:
        """One answer, and that of a second model where one is chosen."""
        chosen, owner = self._chosen(values), person.owner
        first: Finding | None
        if asked.get("act") == "second":
            first = self.bench.finding(owner, str(asked.get("finding")))
            question, keys = first.question, first.pages
        else:
            question = self._allowed(person, chosen.question(self.engine, asked))
            keys = tuple(pages(asked, question))
            first = yield from self._growing(owner, sheet, keys, question, stop)
        other = chosen.second
        if other not in ("", choosing.NOBODY, question.model) and not stop.is_set():
            with Told():  # the first answer stays, whatever becomes of the second
                beside = replace(question, model=other, precision="auto", adapter=None)
                beside = self._allowed(person, beside)
                yield from self._growing(owner, sheet, keys, beside, stop, first)
        yield self.showing.sheet(owner, self.bench.sheet(owner, sheet.id), first.id if first else "")

    def _allowed(self, person: Person, question: Question) -> Question:
        """Raises `NotAllowed` where the person may not ask that model."""
        return replace(question, precision=allowed(person, self.engine, question.model, question.precision))

    def _growing(
        self,
        owner: str,
        sheet: Sheet,
        keys: tuple[str, ...],
        question: Question,
        stop: threading.Event,
        beside: Finding | None = None,
    ) -> Generator[Updates, None, Finding | None]:
        """The steps worth showing; the finding as it is kept."""
        begun, shown, kept = datetime.now(UTC), 0.0, None
        live = Finding("", owner, sheet.id, keys, question, Answer(""), (), "", begun, begun)
        live = replace(live, beside=beside.id if beside else None)
        steps = self.bench.ask(owner, sheet.id, keys, question, stop, live.beside)
        yield self.showing.growing(sheet, live, self._waiting(question))
        with closing(steps):
            for step in steps:
                kept = step.finding or kept
                if step.finding is None and time.monotonic() - shown >= BEAT:
                    shown = time.monotonic()
                    yield self.showing.growing(sheet, _with(live, step), self._how_far(step, live, sheet))
        return kept

    def _how_far(self, step: Step, live: Finding, sheet: Sheet) -> str:
        if step.total <= 1 and not step.answer.text and not step.marks:
            return self._waiting(live.question)
        unit = "Tile" if live.question.detail and len(live.pages) == 1 else UNITS[sheet.kind].capitalize()
        return progress(step.done, step.total, unit)

    def _waiting(self, question: Question) -> str:
        """What is going on before the first word."""
        return self.showing.waiting(question.model)

    def stop(self, event: gr.EventData, request: gr.Request) -> None:
        """Stop was pressed: what was found so far is kept."""
        asked = dict(event._data or {})
        self.running.stop((owner_of(request), str(asked.get("run"))))

    def _chosen(self, values: Values) -> Chosen:
        on = self.on
        return Chosen(
            str(values[on.model] or ""), str(values[on.second] or choosing.NOBODY),
            str(values[on.task] or ""), str(values[on.query] or ""), bool(values[on.detail]),
            self.showing.default,
        )  # fmt: skip

    # --- opening ----------------------------------------------------------------------------

    def open(self, files: list[str] | None, request: gr.Request) -> Updates:
        """Files were chosen or dropped."""
        paths = [Path(file) for file in files or []]

        def opened(owner: str) -> Updates:
            sheet = self.bench.open(owner, [(path, path.name) for path in paths])
            if sheet.kind is Kind.VIDEO:  # something to see and to ask about from the start
                sheet, _ = self.bench.frame(owner, sheet.id, 0.0)
            return self.showing.sheet(owner, sheet)

        try:
            return self._safely(opened, request)
        finally:
            for path in paths:
                let_go(path)

    def take_in(self, values: Values, request: gr.Request) -> Updates:
        """Regions came as a file."""
        path = Path(values[self.on.take])
        sheet = values[self.on.sheet]
        return self._safely(lambda owner: self.acts.take_in(owner, sheet, path), request)

    def act(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """A button that asks no model."""
        asked = dict(event._data or {})
        if asked.get("act") == "recent" and self.shown.of(request.session_hash or "", ""):
            return {self.on.name: gr.skip()}  # a file was quicker
        here = (str(values[self.on.sheet] or ""), str(values[self.on.finding] or ""))
        return self._safely(lambda owner: self.acts.do(owner, *here, asked), request)

    def _safely(self, make: Callable[[str], Updates], request: gr.Request) -> Updates:
        """The updates; where they fail, a sentence, and the browser shows again what is kept."""
        with Told():
            updates = make(owner_of(request))
            if self.on.sheet in updates:
                self.shown.show(request.session_hash or "", updates[self.on.sheet])
            return updates
        return {self.on.told: self.acts.refused()}

    # --- who is asked -----------------------------------------------------------------------

    def choose(self, values: Values, request: gr.Request) -> Updates:
        """The tab was opened, or another model or task was chosen."""
        with Told():
            return self.showing.model(values, partial(askable, person_of(request), self.engine))
        return {self.on.chip: gr.skip()}

    def tick(self, model: str, choice: str, chip: str) -> Any:
        """The state of the model, where it changed."""
        with Told():
            now = self.showing.chip(model or "", choice)
            return gr.skip() if now == chip else now
        return gr.skip()


def _go_on(steps: Generator[Updates], held: ExitStack) -> None:
    """The rest of an answer at which nobody looks: it is kept with its sheet."""

    def rest() -> None:
        with held:
            try:
                for _ in steps:
                    pass
            except NotFound:
                pass  # its sheet was deleted
            except Exception:
                log.exception("a question that was left on the workbench could not be kept")

    threading.Thread(target=contextvars.copy_context().run, args=(rest,), daemon=True).start()


def _with(live: Finding, step: Step) -> Finding:
    return replace(live, answer=step.answer, marks=step.marks, text=step.answer.text)
