"""From what was pressed on the page to an answer of `Chats`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vlm_app.catalog import find
from vlm_app.chat import Chats, ChatSettings, Conversation, Message, Progress, task_in_words
from vlm_app.errors import BadInput
from vlm_app.settings import settings
from vlm_app.types import Picture, Role, Runs, Task
from vlm_app.ui.parts import Attached, check_task, edited, opened, ordered
from vlm_app.ui.render import TASKS
from vlm_app.ui.welcome import EXAMPLES

Steps = Generator[Progress]
Allowed = Callable[[str, str], str]  # a model and a precision to the precision that it may be asked in
GONE = "This button belongs to an older state of the page: reload it."


@dataclass(frozen=True)
class Asking:
    """One press: whose, in which conversation (perhaps not kept yet), with which settings.

    Every method checks what it was given, keeps the user's message, and returns the steps of
    the answer. Raises AppError where something cannot be asked; nothing is kept then.
    """

    chats: Chats
    owner: str
    conversation: Conversation
    stop: threading.Event
    allowed: Allowed

    @classmethod
    def of(cls, chats: Chats, owner: str, chat: str, chosen: ChatSettings, allowed: Allowed) -> Asking:
        """In the chat of that id, or for an empty id in a new one. `allowed` says in which precision a
        model may be asked, and raises `NotAllowed` where it may not."""
        conversation = chats.open(owner, chat) if chat else chats.new(owner)
        return cls(chats, owner, replace(conversation, settings=chosen), threading.Event(), allowed)

    def send(self, text: str, files: Sequence[str]) -> Steps:
        """What the message box holds. Pictures without a word are described."""
        task, attached = self.conversation.settings.task, opened(files, self.owner)
        pictures = tuple(each.picture for each in attached)
        self._check(attached, task, text)
        if task is not Task.CHAT:
            return self._send((*pictures, text), task)
        if pictures and not text.strip() and Task.CAPTION in find(self.conversation.settings.model).tasks:
            return self._send(pictures, Task.CAPTION)
        return self._send(ordered(text, attached), task)

    def _check(self, attached: Sequence[Attached], task: Task, text: str) -> None:
        """A PDF's pages are not asked about in a way that would leave all but the last one out."""
        if any(each.title for each in attached):
            each_by_itself = find(self.conversation.settings.model).runs is Runs.PACKAGE
            check_task(attached, task, TASKS[task], each_by_itself, text)

    def pressed(self, asked: Mapping[str, Any]) -> Steps:
        """A button inside the conversation."""
        match asked.get("act"):
            case "example":
                return self._example(str(asked.get("name")))
            case "regenerate":
                return self._again()
            case "switch":
                return self._switch(str(asked.get("model")))
            case "again":
                return self._beside(str(asked.get("model")), str(asked.get("adapter") or "") or None)
            case "continue":
                self._configure()
                return self.chats.resume(self.owner, self.conversation.id, stop=self.stop)
            case "edit":
                return self._edit(str(asked.get("message")), asked.get("texts") or [])
        raise BadInput(GONE)

    def _send(self, parts: Sequence[str | Picture], task: Task) -> Steps:
        asked = replace(self.conversation, settings=self._may(self.conversation.settings))
        return self.chats.send(self.owner, asked, parts, task=task, stop=self.stop)

    def _configure(self) -> None:
        chosen = self._may(self.conversation.settings)
        self.chats.configure(self.owner, self.conversation.id, chosen)

    def _may(self, chosen: ChatSettings) -> ChatSettings:
        return replace(chosen, precision=self.allowed(chosen.model, chosen.precision))

    def _again(self) -> Steps:
        self._configure()
        return self.chats.regenerate(self.owner, self.conversation.id, stop=self.stop)

    def _example(self, name: str) -> Steps:
        example = EXAMPLES.get(name)
        if example is None:
            raise BadInput(GONE)
        (attached,) = opened([str(settings().assets / "examples" / example.file)])
        return self._send((attached.picture, example.query), example.task)

    def _switch(self, model: str) -> Steps:
        """The same question to another model: again, or in words where it lacks the task."""
        checkpoint, question = find(model), self._last_question()
        if question.task in checkpoint.tasks:
            return replace(self, conversation=self._with(model, question.task))._again()
        words = task_in_words(question.task, question.query)
        return replace(self, conversation=self._with(model, Task.CHAT))._send((words,), Task.CHAT)

    def _beside(self, model: str, adapter: str | None) -> Steps:
        """A second answer beside the first; the chat keeps its model."""
        chosen = replace(self._settings_for(model), adapter=adapter)
        return self.chats.ask_beside(self.owner, self.conversation.id, self._may(chosen), stop=self.stop)

    def _with(self, model: str, task: Task) -> Conversation:
        return replace(self.conversation, settings=replace(self._settings_for(model), task=task))

    def _settings_for(self, model: str) -> ChatSettings:
        """The settings, for another model without the precision and the adapter of this one."""
        chosen = self.conversation.settings
        return (
            chosen if model == chosen.model else replace(chosen, model=model, precision="auto", adapter=None)
        )

    def _last_question(self) -> Message:
        for message in reversed(self.conversation.messages):
            if message.turn.role is Role.USER:
                return message
        raise BadInput(GONE)

    def _edit(self, message_id: str, texts: Sequence[Sequence[str]]) -> Steps:
        message = next((each for each in self.conversation.messages if each.id == message_id), None)
        if message is None:
            raise BadInput(GONE)
        self._configure()
        parts = edited(message.turn, texts)
        return self.chats.edit(self.owner, self.conversation.id, message_id, parts, stop=self.stop)
