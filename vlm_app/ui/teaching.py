"""Teaching in the chat: what a press under an answer makes of it, and its listeners.

A thumb, a correction or a choice between two answers becomes an example of a dataset, and is kept
with the answer: taken back, the example goes again.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from vlm_app import catalog
from vlm_app.api.people import owner_of
from vlm_app.chat import Alternative, Chats, Conversation, How, Message, Taking, Taught, split_thinking
from vlm_app.chat.taking import Find
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune import answers
from vlm_app.finetune.answers import Asked, Given
from vlm_app.finetune.examples import Added, Dataset, Example, Examples
from vlm_app.store import Store, writable
from vlm_app.types import Answer, Role
from vlm_app.ui.page import Parts
from vlm_app.ui.showing import Showing
from vlm_app.ui.taught import SAID
from vlm_app.ui.told import Told
from vlm_app.ui.workbench.datasets import CORRECTIONS
from vlm_app.ui.workbench.telling import told

BRIDGE = "window.vlmTeach = (data) => trigger('click', data);"
TELL = "(told) => window.vlmTaught(told)"
GONE = "This answer is not in the chat any more: reload the chat."
VOTES: Mapping[How, int] = {How.APPROVED: 1, How.REJECTED: -1}


@dataclass(frozen=True)
class Outcome:
    """What a press made: the chat as it is now, a sentence as HTML, and the dataset that was added to."""

    chat: Conversation
    sentence: str
    dataset: str = ""


@dataclass(frozen=True)
class Place:
    """An answer of a chat: the `index`th that was given to the message before `at`."""

    chat: Conversation
    at: int
    index: int

    @property
    def message(self) -> Message:
        return self.chat.messages[self.at]

    @property
    def given(self) -> tuple[Alternative, ...]:
        return given_of(self.message)

    @property
    def its(self) -> Alternative:
        return self.given[self.index]


class Teaching:
    """Makes examples of answers, for the owners of chats. `find` looks up a model by its id."""

    def __init__(self, chats: Chats, store: Store, find: Find = catalog.find) -> None:
        self.chats = chats
        self.examples = Examples(store)
        self._find = find

    def places(self, conversation: Conversation) -> dict[str, str]:
        """The names of the datasets that hold examples of a chat, by the ids of the examples."""
        made = {
            each.taught.example
            for message in conversation.messages
            if message.answer is not None
            for each in given_of(message)
            if each.taught is not None
        }
        return self.examples.places(conversation.owner, made) if made else {}

    def listed(self, owner: str) -> list[dict[str, str]]:
        """The owner's datasets, for the menu."""
        return [{"id": each.id, "name": each.name} for each in self.examples.datasets(owner)]

    # --- presses --------------------------------------------------------------------------

    def pressed(self, owner: str, chat: str, asked: Mapping[str, Any]) -> Outcome:
        """What a press makes of an answer. Raises AppError where it makes nothing."""
        place = self._place(owner, chat, asked)
        match asked.get("act"):
            case "up":
                return self._voted(place, How.APPROVED, asked)
            case "down":
                return self._voted(place, How.REJECTED, asked)
            case "correct":
                return self._corrected(place, asked)
            case "better":
                return self._preferred(place, asked)
            case "back":
                return self._taken_back(place)
            case "dataset":
                return self._moved(place, asked)
        raise BadInput("This button belongs to an older state of the page: reload it.")

    def _place(self, owner: str, chat: str, asked: Mapping[str, Any]) -> Place:
        """The answer that a press is about. Raises NotFound."""
        conversation, index = self.chats.open(owner, chat), _number(asked, "index")
        for at, message in enumerate(conversation.messages):
            if message.id == asked.get("message") and message.answer is not None:
                place = Place(conversation, at, index)
                if 0 <= index < len(place.given):
                    return place
        raise NotFound(GONE)

    def _voted(self, place: Place, how: How, asked: Mapping[str, Any]) -> Outcome:
        """A thumb; pressed again it is taken back. A vote that teaches nothing is kept all the same."""
        if place.its.vote == VOTES[how]:
            return self._taken_back(place)
        make = answers.approved if how is How.APPROVED else answers.rejected
        try:
            example = make(self._asked(place), _given(place.its.answer))
        except BadInput as error:
            chat = self._keep(place, VOTES[how], None)
            self._let_go(place)
            return Outcome(chat, f"Kept as a vote. {escape(error.sentence)}")
        return self._taught(place, how, example, asked)

    def _corrected(self, place: Place, asked: Mapping[str, Any]) -> Outcome:
        text = writable(str(asked.get("text") or "")).strip()
        example = answers.corrected(self._asked(place), _given(place.its.answer), text)
        return self._taught(place, How.CORRECTED, example, asked, text)

    def _preferred(self, place: Place, asked: Mapping[str, Any]) -> Outcome:
        """This answer is better than that other one; pressed again it is taken back."""
        taught, against = place.its.taught, _number(asked, "against")
        if taught is not None and taught.how is How.PREFERRED:
            return self._taken_back(place)
        if not 0 <= against < len(place.given) or against == place.index:
            raise NotFound(GONE)
        other = replace(place, index=against)
        example = answers.preferred(self._asked(place), _given(place.its.answer), _given(other.its.answer))
        worse = other.its.taught
        if worse is not None and worse.how is How.PREFERRED:  # it cannot be the better and the worse one
            place = replace(place, chat=self._taken_back(other).chat)
        return self._taught(place, How.PREFERRED, example, asked)

    def _taken_back(self, place: Place) -> Outcome:
        chat, gone = self._keep(place, 0, None), self._let_go(place)
        return Outcome(chat, "Taken back: its example is removed." if gone else "Taken back.")

    def _moved(self, place: Place, asked: Mapping[str, Any]) -> Outcome:
        """The example goes to another dataset."""
        taught = place.its.taught
        held = self.examples.held(place.chat.owner, [taught.example]) if taught else ()
        if taught is None or not held:
            raise NotFound("This example is not there any more: make it again.")
        return self._taught(place, taught.how, replace(held[0].example, id=""), asked, taught.text)

    # --- keeping --------------------------------------------------------------------------

    def _taught(
        self, place: Place, how: How, example: Example, asked: Mapping[str, Any], text: str = ""
    ) -> Outcome:
        """The example is added, and what was made of the answer before goes."""
        owner = place.chat.owner
        added = self.examples.add(owner, self._dataset(owner, asked), example)
        before = place.its.taught
        same = before is not None and before.example == added.example.id
        own = before.own if before and same else self._is_own(owner, added)
        taught = Taught(how, added.dataset.id, added.example.id, text, own)
        chat = self._keep(place, VOTES.get(how, 0), taught)
        if not same:
            self._let_go(place)
        dataset = self.examples.dataset(owner, added.dataset.id)
        return Outcome(chat, _sentence(how, dataset, added), dataset.id)

    def _is_own(self, owner: str, added: Added) -> bool:
        """Whether an example is there because of answers of chats, and not from elsewhere."""
        return not added.again or any(each.own for each in self.chats.teachers(owner, added.example.id))

    def _keep(self, place: Place, vote: int, taught: Taught | None) -> Conversation:
        chat = place.chat
        return self.chats.teach(chat.owner, chat.id, place.message.id, place.index, vote, taught)

    def _let_go(self, place: Place) -> bool:
        """Removes the example that an answer was, unless it still is another's; whether it did."""
        taught, owner = place.its.taught, place.chat.owner
        if taught is None or not taught.own or self.chats.teachers(owner, taught.example):
            return False
        with suppress(NotFound):  # it was removed on the page of datasets
            self.examples.delete(owner, taught.example)
        return True

    def _dataset(self, owner: str, asked: Mapping[str, Any]) -> str:
        """The id of the dataset that was chosen, of a new one with a name, or of the usual one."""
        name, id = str(asked.get("name") or "").strip(), str(asked.get("dataset") or "")
        if name:
            return self.examples.create(owner, name).id
        known = self.examples.datasets(owner)
        usual = (each.id for each in known if each.name == CORRECTIONS)
        chosen = next((each.id for each in known if each.id == id), None) or next(usual, None)
        return chosen or self.examples.create(owner, CORRECTIONS).id

    # --- the question ---------------------------------------------------------------------

    def _asked(self, place: Place) -> Asked:
        """The question of an answer, with what the one who answered got of the chat's pictures."""
        before = place.chat.messages[: place.at]
        asked = [each for each in before if each.turn.role is Role.USER]
        question, counts = asked[-1], [len(each.media) for each in asked]
        last = max((number for number, count in enumerate(counts) if count), default=0)
        start = sum(counts[:last])
        return Asked(
            question.turn, question.task, question.query,
            pictures=tuple(picture for each in asked for picture in each.turn.pictures),
            own=range(start, start + counts[last]),
            seen=Taking.of(self._find, place.its.answer.model).kept(counts),
            earlier=len(asked) - 1,
        )  # fmt: skip


def given_of(message: Message) -> tuple[Alternative, ...]:
    """All answers to a message, also where there is one only."""
    alone = Alternative(message.answer or Answer(message.turn.text), message.vote, True, message.taught)
    return message.given or (alone,)


def _given(answer: Answer) -> Given:
    return Given(answer, split_thinking(answer.text)[1])


def _number(asked: Mapping[str, Any], name: str) -> int:
    try:
        return int(asked.get(name) or 0)
    except (TypeError, ValueError) as error:
        raise NotFound(GONE) from error


def _sentence(how: How, dataset: Dataset, added: Added) -> str:
    """'Approved · in My corrections: 3 examples · Fine-tune'."""
    size = f"{dataset.size} example{'s' * (dataset.size != 1)}"
    note = f"<br>{escape(added.example.note)}" if added.example.note else ""
    there = ", which held this one already" if added.again else ""
    return (
        f'{SAID[how]} · in {escape(dataset.name)}: {size}{there} · '
        f'<a href="#finetune">Fine-tune</a>{note}'
    )  # fmt: skip


class TeachingListeners:
    """The listeners of the buttons under answers, for a page that was just drawn."""

    def __init__(self, parts: Parts, showing: Showing, teaching: Teaching) -> None:
        self.on = parts
        self.showing = showing
        self.teaching = teaching

    def connect(self) -> None:
        """Draws the bridge to the buttons where it is called, and ties them to it."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        bridge = gr.HTML(elem_id="teaching-bridge", js_on_load=BRIDGE)
        news = gr.Textbox(visible=False)
        bridge.click(self.act, [self.on.chat], [self.on.thread, news], trigger_mode="multiple", **quiet)
        news.change(None, [news], None, js=TELL, queue=False, **quiet)

    def act(self, chat: str, event: gr.EventData, request: gr.Request) -> tuple[Any, Any]:
        """A button under an answer: the chat as it is now, and news for the browser."""
        asked = dict(event._data or {})
        with Told():
            owner = owner_of(request)
            if asked.get("act") == "datasets":
                return gr.skip(), told(datasets=self.teaching.listed(owner))
            made = self.teaching.pressed(owner, chat, asked)
            gr.Info(made.sentence, title="")
            news = told(done=str(asked.get("act")), dataset=made.dataset)
            return self.showing.thread(made.chat), news
        return gr.skip(), gr.skip()
