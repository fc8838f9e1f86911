"""What happens on the page: each listener reads values, calls `Chats` and returns updates.

Nothing of a visitor is kept here: the chat that a tab shows is a value of that tab, and whose
it is comes from the signed cookie of each request.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app.api.offered import allowed
from vlm_app.api.people import owner_of, person_of
from vlm_app.chat import Chats, Progress
from vlm_app.engine import Engine
from vlm_app.errors import AppError, NotFound
from vlm_app.store import new_id
from vlm_app.types import Task
from vlm_app.ui import model_bar
from vlm_app.ui.asking import Asking, Steps
from vlm_app.ui.engine_listeners import TELL, EngineListeners
from vlm_app.ui.models_listeners import ModelListeners
from vlm_app.ui.page import Parts
from vlm_app.ui.parts import images_in, message_of
from vlm_app.ui.running import Running
from vlm_app.ui.servers_listeners import ServersListeners
from vlm_app.ui.showing import BUSY, IDLE, Showing, Updates, Values, checkpoint_of
from vlm_app.ui.shown import Shown
from vlm_app.ui.teaching import Teaching, TeachingListeners
from vlm_app.ui.told import Told
from vlm_app.ui.writing import Writing, Writings

BEAT = 0.1  # seconds between two pictures of a growing answer
ACTED = "() => { window.vlmActed() }"
SENT = "() => { window.vlmSent() }"
CHOOSES, CHOSE = "() => { window.vlmChooses() }", "() => { window.vlmChose() }"
NEW = "() => window.vlmNew()"
ATTACHED = "(message) => (message?.files || []).length"
CLEAR = "() => [{text: '', files: []}, 0]"
NUMBER = "(...values) => [...values.slice(0, -1), window.vlmAsksLeft()]"
LEFT = "(text) => window.vlmLeft(text)"


class Listeners:
    """The page's listeners, for `Parts` that were just drawn."""

    def __init__(
        self,
        parts: Parts,
        chats: Chats,
        engine: Engine,
        teaching: Teaching,
        running: Running,
    ) -> None:
        self.on = parts
        self.chats = chats
        self.teaching = teaching
        self.showing = Showing(parts, chats, engine, teaching.places)
        self.running = running
        self.writings = Writings(running)
        self.shown = Shown()

    # --- wiring -----------------------------------------------------------------------

    def connect(self, page: gr.Blocks) -> Any:
        """Ties events to listeners. All that runs a model stands in one queue. What follows the
        first load of the chat can be tied to what is returned."""
        on, outputs = self.on, self._outputs()
        here: set[Component] = {on.chat, on.chats.search, on.model}
        asked: set[Component] = {*here, on.task, *on.panel.fields}
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        writes: dict[str, Any] = {**quiet, "concurrency_id": "answers", "concurrency_limit": 8}
        loaded = page.load(None, None, [on.chat], js="() => window.vlmChat()", **quiet).then(
            self.load, here, outputs, **quiet
        )
        sent = on.message.submit(self.send, {on.message, *asked}, outputs, **writes)
        pressed = on.bridge.submit(self.ask, asked, outputs, **writes)
        acted = on.bridge.click(self.act, here, outputs, trigger_mode="multiple", **quiet)
        on.look.change(self.look, asked, outputs, **writes)
        on.message.stop(self.stop, [on.chat], None, queue=False, **quiet)
        on.chats.new.click(None, None, None, js=NEW, **quiet)
        on.chats.search.change(self.search, here, [on.chats.chats], **quiet)
        on.chats.load.upload(self.take_in, {*here, on.chats.load}, outputs, **quiet)
        on.model.input(None, None, None, js=CHOOSES, **quiet)
        picked = {*here, on.task, on.panel.precision}
        chose = on.model.input(self.choose, picked, outputs, trigger_mode="always_last", **quiet)
        for event, done in ((sent, SENT), (acted, ACTED), (chose, CHOSE)):
            for end in (event.success, event.failure):  # one of them: refused at the door is a failure
                end(None, None, None, js=done, **quiet)
        on.task.change(self.choose_task, [on.model, on.task], [on.message], queue=False, **quiet)
        on.chat.change(None, [on.chat], None, js="(chat) => { window.vlmAddress(chat) }", **quiet)
        on.message.change(None, [on.message], [on.attached], js=ATTACHED, **quiet)
        on.taken.change(None, None, [on.message, on.attached], js=CLEAR, **quiet)
        self._connect_notice([sent.then, pressed.then, on.attached.change, on.model.change, on.chat.change])
        self._connect_models()
        TeachingListeners(on, self.showing, self.teaching).connect()
        return loaded

    def _connect_notice(self, events: Sequence[Callable[..., Any]]) -> None:
        """Answers may overtake one another: each says which question it belongs to, and the browser shows
        the latest."""
        on, quiet = self.on, {"api_visibility": "private", "show_progress": "hidden"}
        inputs = [on.chat, on.model, on.message, on.asks]
        now: dict[str, Any] = {**quiet, "queue": False, "trigger_mode": "multiple"}
        for event in events:
            event(self.notice, inputs, [on.left], js=NUMBER, **now)
        on.left.change(None, [on.left], [on.notice], js=LEFT, **now)

    def _connect_models(self) -> None:
        """The page of models, its servers, and what loads and unloads."""
        table = ModelListeners(self.on, self.showing)
        table.connect()
        served = ServersListeners(self.on, self.showing, table)
        engine = EngineListeners(self.on, self.showing, served.now, self.running)
        engine.connect()
        served.connect(engine.verdicts, TELL)

    def _outputs(self) -> list[Component]:
        on = self.on
        own = [
            on.chat,
            on.thread,
            on.message,
            on.taken,
            on.look,
            on.chats.chats,
            on.model,
            on.task,
            on.chip,
            on.knows,
            on.export,
            on.tabs,
        ]
        return [*own, *on.panel.fields]

    # --- listeners that answer --------------------------------------------------------

    def send(self, values: Values, request: gr.Request) -> Iterator[Updates]:
        """The message box was sent."""
        text, files = message_of(values[self.on.message])
        yield from self._answering(values, request, lambda asking: asking.send(text, files), clears=True)

    def ask(self, values: Values, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """A button inside the conversation asks for an answer."""
        asked = dict(event._data or {})
        yield from self._answering(values, request, lambda asking: asking.pressed(asked))

    def _answering(
        self, values: Values, request: gr.Request, begin: Callable[[Asking], Steps], clears: bool = False
    ) -> Iterator[Updates]:
        """Asks, and shows the answer while it is written; `clears` the message box once it was taken."""
        chat, tab = values[self.on.chat], request.session_hash or ""
        yield {self.on.message: gr.update(**BUSY)}
        with Told():
            asking = self._asking(values, request)
            self.shown.begin(tab, chat, asking.conversation.id)
            chat = asking.conversation.id
            writing = self.writings.begin((asking.owner, chat), asking.stop, lambda: begin(asking))
            yield from self._looking(writing, (tab, asking.owner, chat), values, clears)
            return
        if self.shown.of(tab, chat) == chat:
            self.shown.show(tab, values[self.on.chat])
            yield self._as_kept(chat, values, request)

    def look(self, values: Values, request: gr.Request) -> Iterator[Updates]:
        """A chat was opened whose answer is being written."""
        chat, tab = values[self.on.chat], request.session_hash or ""
        with Told():
            owner = owner_of(request)
            if writing := self.writings.of((owner, chat)):
                yield from self._looking(writing, (tab, owner, chat), values)
            else:  # it has just ended
                yield self._kept(owner, chat, values)
            return
        yield {self.on.message: gr.update(**IDLE)}

    def _looking(
        self, writing: Writing, at: tuple[str, str, str], values: Values, clears: bool = False
    ) -> Iterator[Updates]:
        """An answer while it is written, `at` a tab, an owner, a chat: until the tab shows another chat or
        is closed. The answer goes on, for those who come back."""
        tab, owner, chat = at
        try:
            for updates in self._shown(writing.steps(BEAT), owner, values, clears):
                if self.shown.of(tab, chat) != chat:
                    taken = {part: updates[part] for part in updates.keys() & {self.on.taken}}
                    yield self._instead(owner, self.shown.of(tab, chat), values) | taken
                    return
                if updates:
                    yield updates
        except NotFound:  # the chat was deleted: here, or in another tab
            if self.shown.of(tab, chat) == chat:
                raise
            yield self._instead(owner, self.shown.of(tab, chat), values)
        except GeneratorExit:
            writing.leave()
            raise

    def _instead(self, owner: str, chat: str, values: Values) -> Updates:
        """What a tab shows by now: a step of the answer before it may have come later."""
        if self.running.writes((owner, chat)):
            return {self.on.message: gr.skip()}  # Gradio takes no empty dict
        try:
            return self._kept(owner, chat, values)
        except NotFound:  # deleted in another tab
            return {self.on.message: gr.update(**IDLE)}

    def _opened(self, owner: str, chat: str, values: Values) -> Updates:
        """A chat, or a blank one, with its answer so far where one is being written. Raises `NotFound`."""
        writing = self.writings.of((owner, chat))
        shown = self.showing.stored(owner, chat, values)
        if writing is None:
            return shown
        growing = self.showing.growing(writing.latest)
        return shown | {
            self.on.thread: growing,
            self.on.message: gr.update(**BUSY),
            self.on.look: new_id(),
        }

    def _kept(self, owner: str, chat: str, values: Values) -> Updates:
        """A chat as it is kept. Raises `NotFound`."""
        shown = self.showing.stored(owner, chat, values)
        return {part: shown[part] for part in (self.on.thread, self.on.message)}

    def _asking(self, values: Values, request: gr.Request) -> Asking:
        fields = tuple(values[field] for field in self.on.panel.fields)
        chosen = self.on.panel.read(values[self.on.model], values[self.on.task] or Task.CHAT, fields)
        may = partial(allowed, person_of(request), self.showing.engine)
        return Asking.of(self.chats, owner_of(request), values[self.on.chat], chosen, may)

    def _shown(
        self, steps: Iterator[Progress | None], owner: str, values: Values, clears: bool
    ) -> Iterator[Updates]:
        """What each step changes; nothing, where nothing is new.

        What only one step says must not be a `gr.update`: where steps come faster than the browser shows
        them, Gradio writes the next one over it. So that a message was taken is told by its id.
        """
        for number, step in enumerate(steps):
            if step is None:
                yield {}
                continue
            updates: Updates = {self.on.thread: self.showing.growing(step)}
            if number == 0:
                updates |= self.showing.around(owner, step.conversation, values)
                updates[self.on.message] = gr.update(**BUSY)
                if clears:
                    updates[self.on.taken] = step.conversation.messages[-1].id
            if step.done:
                updates |= self.showing.around(owner, step.conversation, values)
                updates[self.on.message] = gr.update(**IDLE)
            yield updates

    def _as_kept(self, chat: str, values: Values, request: gr.Request) -> Updates:
        """After a refusal: the conversation as it is kept, the message box as it was."""
        idle: Updates = {self.on.message: gr.update(**IDLE)}
        try:
            return self._opened(owner_of(request), values[self.on.chat] and chat, values)
        except AppError:  # it was deleted meanwhile, or is nobody's; the sentence is already shown
            return idle

    def stop(self, chat: str, request: gr.Request) -> None:
        """Stop was pressed: the answer so far is kept."""
        self.running.stop((owner_of(request), chat))

    # --- listeners that only show -----------------------------------------------------

    def load(self, values: Values, request: gr.Request) -> Updates:
        """The page was opened, perhaps with a chat in its address. Who was quick stays on their tab, and
        keeps what they typed or chose."""
        opened = self._tried(lambda owner: self._opened(owner, values[self.on.chat], values), request)
        shown = opened or self._as_kept("", {**values, self.on.chat: ""}, request)
        on, stays, chosen = self.on, {self.on.tabs}, set[Component]()
        if not values[on.chat]:
            same = checkpoint_of(str(values[on.model])).id == shown.get(on.model, {}).get("value")
            stays |= {*on.panel.fields} - {*on.panel.offered}
            chosen = {*on.panel.offered, *((on.model, on.task) if same else ())}
        if not self.shown.first(request.session_hash or "", shown.get(on.chat, "")):
            stays = shown.keys() - {on.chats.chats, on.model}  # something was chosen, asked or opened already
            chosen = {on.model}
        kept = {part: update for part, update in shown.items() if part not in stays}
        return kept | {part: _offer(kept[part]) for part in chosen & kept.keys()}

    def act(self, values: Values, event: gr.EventData, request: gr.Request) -> Updates:
        """A button inside a message or beside it, in the list of chats or above it."""
        asked, tab = dict(event._data or {}), request.session_hash or ""
        return self._safely(lambda owner: self._acted(owner, tab, asked, values), request)

    def _acted(self, owner: str, tab: str, asked: dict[str, Any], values: Values) -> Updates:
        chat, named = values[self.on.chat], str(asked.get("chat") or "")
        match asked.get("act"):
            case "new":
                return self.showing.blank(owner, values)
            case "open":
                return self._opened(owner, named, values)
            case "choose":
                message, index = str(asked.get("message")), int(asked.get("index") or 0)
                return {self.on.thread: self.showing.thread(self.chats.choose(owner, chat, message, index))}
            case "go-on":
                message, index = str(asked.get("message")), int(asked.get("index") or 0)
                return self.showing.whole(owner, self.chats.go_on_with(owner, chat, message, index), values)
            case "rename":
                self.chats.rename(owner, named, str(asked.get("title") or ""))
            case "delete":
                if named == chat:  # before its answer hears of it
                    self.shown.show(tab, "")
                self.chats.delete(owner, named)
                self.running.stop((owner, named))
                if named == chat:
                    return self.showing.blank(owner, values)
        return {self.on.chats.chats: self.showing.list(owner, chat, values)}

    def search(self, values: Values, request: gr.Request) -> Updates:
        """The list, of the chats that hold the words."""
        chat = values[self.on.chat]
        return self._safely(
            lambda owner: {self.on.chats.chats: self.showing.list(owner, chat, values)}, request
        )

    def take_in(self, values: Values, request: gr.Request) -> Updates:
        """A chat was given as a JSON file; the copy that Gradio made of it goes."""
        path = Path(values[self.on.chats.load])

        def taken(owner: str) -> Updates:
            return self.showing.whole(owner, self.chats.import_file(owner, path), values)

        try:
            return self._safely(taken, request)
        finally:
            path.unlink(missing_ok=True)

    def choose(self, values: Values, request: gr.Request) -> Updates:
        """Another model was picked."""
        chat = values[self.on.chat]
        self.shown.begin(request.session_hash or "", chat, chat)
        checkpoint, owner = checkpoint_of(values[self.on.model]), person_of(request).owner
        shown = self.showing.choice(checkpoint, Task(values[self.on.task] or Task.CHAT), values, owner)
        if checkpoint.id == values[self.on.model]:  # the next one may have been picked by now
            shown[self.on.model] = _offer(shown[self.on.model])
        return shown

    def notice(
        self, chat: str, model: str, message: dict[str, Any] | None, number: float, request: gr.Request
    ) -> str:
        """What the chosen model would not get of the chat and the images that are attached, as JSON:
        the HTML, and the number of the question."""
        owner = person_of(request).owner  # without a cookie there is no chat, and nothing to leave out
        _, files = message_of(message)
        html = self.showing.notice(owner, chat, model, images_in(files))
        return json.dumps({"number": number, "html": html})

    def choose_task(self, model: str, task: str | None) -> Any:
        """Another task was picked: the message box says what it wants."""
        return gr.update(placeholder=model_bar.hint(checkpoint_of(model), Task(task or Task.CHAT)))

    def _safely(self, make: Callable[[str], Updates], request: gr.Request) -> Updates:
        """The updates; where they fail, a sentence, and nothing changes."""
        updates = self._tried(make, request) or {self.on.chats.chats: gr.skip()}  # Gradio takes no empty dict
        if self.on.chat in updates:
            self.shown.show(request.session_hash or "", updates[self.on.chat])
        return updates

    def _tried(self, make: Callable[[str], Updates], request: gr.Request) -> Updates | None:
        with Told():
            return make(owner_of(request))
        return None


def _offer(update: dict[str, Any]) -> dict[str, Any]:
    """What can be chosen; what is chosen stays."""
    return {name: value for name, value in update.items() if name != "value"}
