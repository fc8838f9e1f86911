"""Updates of the page's components: what is shown of a chat, a model, the list of chats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import cache
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.components.chatbot import ComponentMessage

from vlm_app import limits
from vlm_app.api.offered import askable
from vlm_app.catalog import catalog
from vlm_app.chat import Chats, ChatSettings, Conversation, Progress
from vlm_app.engine import Engine
from vlm_app.engine.opening import opening
from vlm_app.engine.states import ModelState
from vlm_app.errors import AppError, ModelUnavailable, NotFound
from vlm_app.people import Person
from vlm_app.settings import settings
from vlm_app.types import Answer, Checkpoint, Task
from vlm_app.ui import beside, model_bar
from vlm_app.ui.addresses import under_root
from vlm_app.ui.beside import Choice
from vlm_app.ui.page import CHAT, Parts
from vlm_app.ui.render import Row, Thread
from vlm_app.ui.settings_panel import Choices
from vlm_app.ui.sidebar import chat_list
from vlm_app.ui.state_words import status
from vlm_app.ui.steady import steady
from vlm_app.ui.taught import Places
from vlm_app.ui.verdicts import PRECISIONS
from vlm_app.ui.welcome import welcome

Values = dict[Component, Any]
Updates = dict[Component, Any]
IDLE = {"submit_btn": True, "stop_btn": False}
BUSY = {"submit_btn": False, "stop_btn": True}


class Showing:
    """Makes updates for the components of one page. Holds nothing of a visitor."""

    def __init__(
        self, parts: Parts, chats: Chats, engine: Engine, places: Callable[[Conversation], Places]
    ) -> None:
        """`places` says where examples are kept that answers of a chat became."""
        self.on = parts
        self.chats = chats
        self.engine = engine
        self.places = places
        _props()  # now: inside a listener Gradio makes no whole component

    def stored(self, owner: str, chat: str, values: Values) -> Updates:
        """A chat as it is kept, or a blank one. Raises NotFound."""
        if not chat:
            return self.blank(owner, values)
        return self.whole(owner, self.chats.open(owner, chat), values)

    def whole(self, owner: str, conversation: Conversation, values: Values) -> Updates:
        """Everything about a chat."""
        kept, panel = conversation.settings, self.on.panel
        chosen = {**values, panel.precision: kept.precision, panel.adapter: kept.adapter}
        return self.around(owner, conversation, chosen) | {
            self.on.thread: self.thread(conversation),
            self.on.message: gr.update(**IDLE),
            self.on.tabs: gr.update(selected=CHAT),
            **self.on.panel.show(kept, self.choices(kept.model, owner)),
        }

    def around(self, owner: str, conversation: Conversation, values: Values) -> Updates:
        """Everything about a chat but its messages and settings, which `values` has."""
        checkpoint = checkpoint_of(conversation.settings.model)
        return self.model(checkpoint, conversation.settings.task, self.chosen(values), owner) | {
            self.on.chat: conversation.id,
            self.on.chats.chats: self.list(owner, conversation.id, values),
            self.on.export: _export(conversation.id),
        }

    def blank(self, owner: str, values: Values) -> Updates:
        """A new chat: the model stays, the message box keeps what was typed."""
        checkpoint = checkpoint_of(opening().instead_of(str(values.get(self.on.model) or "")))
        return self.model(checkpoint, Task.CHAT, owner=owner) | {
            self.on.chat: "",
            self.on.thread: messages([("assistant", welcome(checkpoint))]),
            self.on.message: gr.update(**IDLE),
            self.on.chats.chats: self.list(owner, "", values),
            self.on.export: "",
            self.on.tabs: gr.update(selected=CHAT),
            **self.on.panel.show(ChatSettings(checkpoint.id), self.choices(checkpoint.id, owner)),
        }

    def chosen(self, values: Values) -> tuple[str, str]:
        """Precision and adapter, as the panel has them."""
        panel = self.on.panel
        return str(values.get(panel.precision) or "auto"), str(values.get(panel.adapter) or "")

    def model(
        self,
        checkpoint: Checkpoint,
        task: Task,
        chosen: tuple[str, str] = ("auto", ""),
        owner: str | None = None,
    ) -> Updates:
        """What a model can do, what it knows, how it is in the precision that is `chosen`; without an
        owner all models are offered beside it."""
        task = model_bar.task_of(checkpoint, task)
        rows = {row.id: row for row in catalog().values() if row is checkpoint or self._asks(owner, row)}
        return {
            self.on.model: gr.update(choices=model_bar.models(rows), value=checkpoint.id),
            self.on.task: gr.update(choices=model_bar.tasks(checkpoint), value=task.value),
            self.on.knows: model_bar.knows(checkpoint),
            self.on.chip: self.chip(checkpoint.id, *chosen),
        }

    def _asks(self, owner: str | None, row: Checkpoint) -> bool:
        """Whether an owner may ask a model."""
        return owner is None or askable(Person(owner, "", limits.role_of(owner)), self.engine, row)

    def choices(self, model: str, owner: str = "") -> Choices:
        """What a visitor can choose for a model, with the verdicts of this moment; without an owner
        the adapters that are everybody's."""
        if model not in catalog():
            return Choices()
        if catalog()[model].server or settings().fixed:
            return Choices(remote=True)
        fits = {each: self.engine.fit(model, each) for each in PRECISIONS}
        return Choices(fits, self.engine.adapters(model, owner))

    @property
    def picked(self) -> list[Component]:
        """What `pick` updates."""
        on = self.on
        return [on.model, on.task, on.knows, on.chip, *on.panel.offered, on.thread, on.tabs]

    @property
    def around_model(self) -> list[Component]:
        """What `choice` updates."""
        return [part for part in self.picked if part is not self.on.tabs]

    def pick(self, checkpoint: Checkpoint, task: Task, values: Values, owner: str | None = None) -> Updates:
        """A model was picked on the page of all models: it is chosen, and the chat is shown."""
        if not checkpoint.runs.here and not checkpoint.server:
            raise ModelUnavailable(f"{checkpoint.name} cannot run here: choose a model that can.")
        return self.choice(checkpoint, task, values, owner) | {self.on.tabs: gr.update(selected=CHAT)}

    def choice(self, checkpoint: Checkpoint, task: Task, values: Values, owner: str | None = None) -> Updates:
        """Another model was picked, in a chat or a blank one. The precision stays, the adapter goes."""
        precision, _ = self.chosen(values)
        updates = self.model(checkpoint, task, (precision, ""), owner)
        updates |= self.on.panel.offer(checkpoint, self.choices(checkpoint.id))
        if not values[self.on.chat]:
            updates[self.on.thread] = messages([("assistant", welcome(checkpoint))])
        return updates

    def thread(self, conversation: Conversation) -> list[dict[str, Any]]:
        choices, places = self._choices(conversation), self.places(conversation)
        adapters = self._adapters(conversation)
        return messages(Thread(conversation, catalog(), adapters, choices, places).rows())

    def growing(self, step: Progress) -> list[dict[str, Any]]:
        """The messages while the last one is being written."""
        if step.done:
            return self.thread(step.conversation)
        adapters, places = self._adapters(step.conversation, step.answer), self.places(step.conversation)
        thread = Thread(step.conversation, catalog(), adapters, places=places)
        rows = thread.rows_beside if step.beside else thread.rows_with
        return messages(rows(step.answer, self._status(step)))

    def _choices(self, conversation: Conversation) -> list[Choice]:
        """Who could answer the last message again, where it has an answer."""
        if not conversation.messages or conversation.messages[-1].answer is None:
            return []
        answer, question = conversation.messages[-1].answer, conversation.messages[-2]
        ready = {state.model for state in self.engine.models() if state.status == "ready"}
        images = len(question.media)
        rows = [row for row in catalog().values() if self._asks(conversation.owner, row)]
        here = beside.models(rows, question.task, images, ready=ready, room=self.engine.capacity())
        return [*self._variants(conversation.owner, answer), *here]

    def _variants(self, owner: str, answer: Answer) -> list[Choice]:
        """The model that answered with its other adapters."""
        if answer.model not in catalog() or catalog()[answer.model].server:
            return []
        name, made = catalog()[answer.model].name, self.engine.adapters(answer.model, owner)
        return [
            Choice(f"{name} · {each.name}", answer.model, each.id, ready=True)
            for each in made
            if each.id != answer.adapter
        ]

    def _adapters(self, conversation: Conversation, *growing: Answer) -> dict[str, str]:
        """Names of the adapters that wrote here, by id."""
        answers = [message.answer for message in conversation.messages if message.answer]
        given = [each.answer for message in conversation.messages for each in message.given]
        used = {each.model for each in (*answers, *given, *growing) if each.adapter} & catalog().keys()
        return {
            each.id: each.name for model in used for each in self.engine.adapters(model, conversation.owner)
        }

    def _status(self, step: Progress) -> str:
        """What is going on before the first word."""
        model = step.answer.model
        if step.answer.text or step.answer.regions or model not in catalog():
            return ""
        name, server = catalog()[model].name, catalog()[model].server
        if server:
            return f"{server} has the question…"
        state = self.engine.state(model)
        if state.status == "waiting":
            return state.detail
        if state.status == "loading":
            return f"{name} is {status(state)}…"
        if state.status != "ready":
            return f"{name} is loading…"
        others = self.engine.leases.get(model, 1) - 1
        return f"{name} has {others} more to answer…" if others > 0 else f"{name} is looking…"

    def notice(self, owner: str | None, chat: str, model: str, images: int) -> str:
        """What the model would not get if the message box, with so many images, were sent now."""
        try:
            conversation = self.chats.open(owner, chat) if owner and chat else self.chats.new(owner or "")
        except NotFound:  # deleted in another tab
            return ""
        chosen = replace(conversation.settings, model=model)
        said = self.chats.left_out(replace(conversation, settings=chosen), images)
        return f'<p role="status">{escape(said)}</p>' if said else ""

    def list(self, owner: str, chat: str, values: Values) -> str:
        search = str(values.get(self.on.chats.search) or "")
        return chat_list(self.chats.list(owner, search), chat, search, datetime.now().astimezone())

    def chip(self, model: str, precision: str = "auto", adapter: str = "") -> str:
        """How the chosen model is; before it is loaded, whether it fits as it was chosen."""
        row = catalog().get(model)
        if row is not None and row.server:
            return model_bar.server_chip(row)
        try:
            state = self._state(model, precision)
            fit = self.engine.fit(model, precision) if state.status == "unloaded" else None
            made = self.engine.adapters(model, None) if adapter else ()  # only who may use it knows its id
            names = {each.id: each.name for each in made}
            return model_bar.chip(replace(state, model=model), fit, names.get(adapter, ""))
        except AppError:  # a model that left the catalog has no state to show
            return ""

    def _state(self, model: str, precision: str) -> ModelState:
        """How a model is in the precision that was chosen."""
        state = self.engine.state(model)
        if precision in ("auto", state.precision) or state.status not in ("ready", "unloading"):
            return state
        same = [each for each in self.engine.models() if (each.model, each.precision) == (model, precision)]
        none = ModelState("unloaded", f"{state.name} is not loaded in {precision}.", name=state.name)
        return same[0] if same else none


def checkpoint_of(model: str) -> Checkpoint:
    """The row of a model; of the first one where a chat names a model that is gone or cannot run here."""
    here = model_bar.runnable(catalog())
    return next((each for each in here if each.id == model), here[0])


def messages(rows: list[Row]) -> list[dict[str, Any]]:
    """Rows as the Chatbot takes them: each is one HTML part, which it updates in place."""
    return [{"role": role, "content": [_part(html)]} for role, html in rows]


def _part(html: str) -> ComponentMessage:
    """What the Chatbot makes of a `gr.HTML`, made without one: a long chat has many, ten times a second."""
    return ComponentMessage(component="html", value=html, constructor_args={}, props=_props())


@cache
def _props() -> dict[str, Any]:
    properties: dict[str, Any] = steady(apply_default_css=False, render=False).get_config()
    properties.pop("value")
    return properties


def _export(chat: str) -> str:
    return (
        '<details class="menu"><summary title="Export this chat" aria-label="Export this chat">'
        '<i class="ico export"></i></summary><div>'
        f'<a href="{under_root(f"/chats/{chat}/export.json")}" download>JSON, with images</a>'
        f'<a href="{under_root(f"/chats/{chat}/export.md")}" download>Markdown</a></div></details>'
    )
