"""Updates of the page's components: what is shown of a chat, a model, the list of chats."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import gradio as gr
from gradio.components import Component
from gradio.components.chatbot import ComponentMessage

from vlm_app.catalog import catalog
from vlm_app.chat import Chats, ChatSettings, Conversation, Progress
from vlm_app.engine import Engine
from vlm_app.errors import AppError, ModelUnavailable
from vlm_app.settings import settings
from vlm_app.types import Checkpoint, Runs, Task
from vlm_app.ui import model_bar
from vlm_app.ui.page import CHAT, Parts
from vlm_app.ui.render import Row, Thread
from vlm_app.ui.sidebar import chat_list
from vlm_app.ui.welcome import welcome

Values = dict[Component, Any]
Updates = dict[Component, Any]
IDLE = {"submit_btn": True, "stop_btn": False}
BUSY = {"submit_btn": False, "stop_btn": True}


class Showing:
    """Makes updates for the components of one page. Holds nothing of a visitor."""

    def __init__(self, parts: Parts, chats: Chats, engine: Engine) -> None:
        self.on = parts
        self.chats = chats
        self.engine = engine
        _props()  # now: inside a listener Gradio makes no whole component

    def stored(self, owner: str, chat: str, values: Values) -> Updates:
        """A chat as it is kept, or a blank one. Raises NotFound."""
        if not chat:
            return self.blank(owner, values)
        return self.whole(owner, self.chats.open(owner, chat), values)

    def whole(self, owner: str, conversation: Conversation, values: Values) -> Updates:
        """Everything about a chat."""
        return self.around(owner, conversation, values) | {
            self.on.thread: self.thread(conversation),
            self.on.message: gr.update(**IDLE),
            self.on.tabs: gr.update(selected=CHAT),
            **self.on.panel.show(conversation.settings),
        }

    def around(self, owner: str, conversation: Conversation, values: Values) -> Updates:
        """Everything about a chat but its messages and settings."""
        checkpoint = checkpoint_of(conversation.settings.model)
        return self.model(checkpoint, conversation.settings.task) | {
            self.on.chat: conversation.id,
            self.on.chats.chats: self.list(owner, conversation.id, values),
            self.on.export: _export(conversation.id),
        }

    def blank(self, owner: str, values: Values) -> Updates:
        """A new chat: the model stays, the message box keeps what was typed."""
        checkpoint = checkpoint_of(values.get(self.on.model) or settings().model)
        return self.model(checkpoint, Task.CHAT) | {
            self.on.chat: "",
            self.on.thread: messages([("assistant", welcome(checkpoint))]),
            self.on.message: gr.update(**IDLE),
            self.on.chats.chats: self.list(owner, "", values),
            self.on.export: "",
            self.on.tabs: gr.update(selected=CHAT),
            **self.on.panel.show(ChatSettings(checkpoint.id)),
        }

    def model(self, checkpoint: Checkpoint, task: Task) -> Updates:
        """What a model can do, what it knows, how it is."""
        task = model_bar.task_of(checkpoint, task)
        return {
            self.on.model: gr.update(choices=model_bar.models(catalog()), value=checkpoint.id),
            self.on.task: gr.update(choices=model_bar.tasks(checkpoint), value=task.value),
            self.on.knows: model_bar.knows(checkpoint),
            self.on.chip: self.chip(checkpoint.id),
            self.on.panel.pixels: self.on.panel.offer(checkpoint),
        }

    @property
    def picked(self) -> list[Component]:
        """What `pick` updates."""
        on = self.on
        return [on.model, on.task, on.knows, on.chip, on.panel.pixels, on.thread, on.tabs]

    def pick(self, checkpoint: Checkpoint, task: Task, chat: str) -> Updates:
        """A model was picked on the page of all models: it is chosen, and the chat is shown."""
        if checkpoint.runs is not Runs.IN_PROCESS:
            raise ModelUnavailable(f"{checkpoint.name} cannot run here: choose a model that can.")
        return self.choice(checkpoint, task, chat) | {self.on.tabs: gr.update(selected=CHAT)}

    def choice(self, checkpoint: Checkpoint, task: Task, chat: str) -> Updates:
        """Another model was picked, in the chat of that id or a blank one."""
        updates = self.model(checkpoint, task)
        if not chat:
            updates[self.on.thread] = messages([("assistant", welcome(checkpoint))])
        return updates

    def thread(self, conversation: Conversation) -> list[dict[str, Any]]:
        return messages(Thread(conversation, catalog()).rows())

    def growing(self, step: Progress) -> list[dict[str, Any]]:
        """The messages while the last one is being written."""
        thread = Thread(step.conversation, catalog())
        return messages(thread.rows() if step.done else thread.rows_with(step.answer, self._status(step)))

    def _status(self, step: Progress) -> str:
        """What is going on before the first word."""
        model = step.conversation.settings.model
        if step.answer.text or step.answer.regions or model not in catalog():
            return ""
        name = catalog()[model].name
        if self.engine.state(model).status != "ready":
            return f"{name} is loading…"
        others = self.engine.leases.get(model, 1) - 1
        return f"{name} has {others} more to answer…" if others > 0 else f"{name} is looking…"

    def list(self, owner: str, chat: str, values: Values) -> str:
        search = str(values.get(self.on.chats.search) or "")
        return chat_list(self.chats.list(owner, search), chat, search, datetime.now().astimezone())

    def chip(self, model: str) -> str:
        try:
            return model_bar.chip(self.engine.state(model))
        except AppError:  # a model that left the catalog has no state to show
            return ""


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
    properties: dict[str, Any] = gr.HTML(
        "", js_on_load=None, apply_default_css=False, render=False
    ).get_config()
    properties.pop("value")
    return properties


def _export(chat: str) -> str:
    return (
        '<details class="menu"><summary title="Export this chat" aria-label="Export this chat">'
        '<i class="ico export"></i></summary><div>'
        f'<a href="/chats/{chat}/export.json" download>JSON, with images</a>'
        f'<a href="/chats/{chat}/export.md" download>Markdown</a></div></details>'
    )
