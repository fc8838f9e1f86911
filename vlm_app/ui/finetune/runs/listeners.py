"""What happens in the place of runs. Nothing of a visitor is kept here: what a browser shows it says
itself, and whose it is comes from the signed cookie of each request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from vlm_app.api.people import owner_of, person_of
from vlm_app.errors import AppError
from vlm_app.people import Act, Person, check
from vlm_app.ui.finetune.runs.acts import RunsActs
from vlm_app.ui.finetune.runs.reading import BadSetting
from vlm_app.ui.finetune.runs.showing import Look, Updates, told
from vlm_app.ui.showing import Values
from vlm_app.ui.told import Told

LOOK = "() => [window.vlmRunsLook()]"
TELL = "(told) => window.vlmRunsTell(told)"
OPENED = "() => { window.vlmRunsOpened() }"
SLOW = {"measure": Act.TRAIN, "merge": Act.MERGE, "push": Act.PUSH, "add-merged": Act.MODELS}
START = "() => { window.vlmRunsStart() }"


class RunsListeners:
    """The listeners of the place, for a page that was just drawn."""

    def __init__(self, acts: RunsActs) -> None:
        self.acts = acts
        self.on = acts.on

    def connect(self, tabs: list[gr.Tab], loaded: Any) -> None:
        """Ties events to listeners. `tabs` bring the place into sight; `loaded` is the end of the page's
        first load."""
        on = self.on
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        often: dict[str, Any] = {**quiet, "trigger_mode": "multiple"}
        on.bridge.click(self.act, None, [*on.shown, on.told], **often)
        on.bridge.input(self.check, None, [on.checked], **often)
        on.bridge.submit(self.slow, None, [on.slow], concurrency_limit=4, **often)
        on.bridge.select(self.chat, self.acts.ways.asked, self.acts.ways.picks, **quiet)
        on.watch.tick(self.look, [on.look], [*on.shown, on.watch], js=LOOK, queue=False, **quiet)
        for text in (on.news, on.told, on.checked, on.slow):
            text.change(None, [text], None, js=TELL, queue=False, **often)
        seen = gr.on([tab.select for tab in tabs], self.watch, None, [on.watch], **quiet)
        seen.then(None, None, None, js=OPENED, **quiet)
        loaded.then(None, None, None, js=START, **quiet)

    def watch(self) -> Any:
        """The tab was opened."""
        return gr.Timer(active=True)

    def look(self, look: str, request: gr.Request) -> Updates:
        """Whatever changed; once nobody sees it, nothing any more."""
        if not look:
            return {self.on.watch: gr.Timer(active=False)}
        with Told():
            updates = self.acts.showing.shown(owner_of(request), Look.read(json.loads(look)))
            return updates or {self.on.news: gr.skip()}
        return {self.on.news: gr.skip()}

    def act(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A press that takes no time."""
        return self._told(self._acted, event, request)

    def _acted(self, person: Person, asked: dict[str, Any]) -> Updates:
        if asked.get("act") in ("start", "resume"):
            check(person, Act.TRAIN)
        return self.acts.do(person.owner, asked)

    def check(self, event: gr.EventData, request: gr.Request) -> Any:
        """The settings changed."""
        with Told():
            return self.acts.check(owner_of(request), dict(event._data or {}))
        return gr.skip()

    def slow(self, event: gr.EventData, request: gr.Request) -> Iterator[str]:
        """A press that takes a while: steps that are tried, a merge, an upload."""
        asked = dict(event._data or {})
        kind = (
            {"measured": "", "of": asked.get("number")}
            if asked.get("act") == "measure"
            else {"adapter": asked.get("run"), "said": ""}
        )
        with Told():
            try:
                if asked.get("act") in SLOW:
                    check(person_of(request), SLOW[asked["act"]])
                yield from self.acts.slow(owner_of(request), asked)
            except AppError as error:
                yield told(**kind, wrong=getattr(error, "field", ""), sentence=error.sentence)
            return
        yield told(**kind)

    def chat(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """Chat with an adapter."""
        ways = self.acts.ways
        with Told():
            return ways.chat(owner_of(request), str(dict(event._data or {}).get("run")), values)
        return {ways.parts.tabs: gr.skip()}

    def _told(
        self,
        make: Callable[[Person, dict[str, Any]], Updates],
        event: gr.EventData,
        request: gr.Request,
    ) -> Updates:
        """The updates; where a setting is wrong it is named, and where anything fails a sentence is said."""
        with Told():
            try:
                owner_of(request)  # there is one
                return make(person_of(request), dict(event._data or {}))
            except BadSetting as error:
                return {self.on.told: told(wrong=error.field, sentence=error.sentence)}
        return {self.on.told: told(refused=True)}
