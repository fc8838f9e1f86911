"""What people do with a chat."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from vlm_app import catalog
from vlm_app.chat import exchange, markdown
from vlm_app.chat.asking import check_images, checked_parts, image_counts, in_words
from vlm_app.chat.conversation import (
    Alternative,
    ChatSettings,
    Conversation,
    Message,
    Progress,
    Summary,
    Taught,
    shortened,
    title_of,
)
from vlm_app.chat.records import Records
from vlm_app.chat.rows import Asked
from vlm_app.chat.stream import Answers, Beside, Stream
from vlm_app.chat.taking import Find, Taking
from vlm_app.engine.opening import opening
from vlm_app.errors import BadInput, NotFound
from vlm_app.store import Store, new_id, writable
from vlm_app.types import Finish, Picture, StillPart, Task


class Chats:
    """The chats of all owners. `find` looks up a model of the catalog by its id.

    The four methods that answer check their input and keep the user's message before they
    return; the generator that they return asks the model. An optional `stop` ends an answer
    when it is set, and the generator then ends by itself; closing the generator ends it too.
    """

    def __init__(self, store: Store, engine: Answers, find: Find = catalog.find) -> None:
        self._store = store
        self._records = Records(store)
        self._find = find
        self._stream = Stream(self._records, engine, find)

    # --- the list of chats ----------------------------------------------------------------

    def new(self, owner: str) -> Conversation:
        """An empty conversation. It is kept from its first message on; until then other settings
        are given to it with `dataclasses.replace`."""
        now = datetime.now(UTC)
        return Conversation(new_id(), owner, "New chat", ChatSettings(opening().model), (), now, now)

    def list(self, owner: str, search: str = "") -> tuple[Summary, ...]:
        """The chats whose title or messages hold `search`, in any case, the last used first."""
        return self._records.summaries(owner, search)

    def open(self, owner: str, id: str) -> Conversation:
        """Raises `NotFound`."""
        return self._records.load(owner, id)

    def delete(self, owner: str, id: str) -> None:
        """Removes a chat with its answers, its votes, and the images that no other chat holds."""
        self._records.delete(owner, id)

    def rename(self, owner: str, id: str, title: str) -> Conversation:
        """Raises `BadInput` for a blank title."""
        if not title.strip():
            raise BadInput("The title is empty: write at least one word.")
        self._records.change(owner, id, title=shortened(writable(title)))
        return self.open(owner, id)

    def configure(self, owner: str, id: str, settings: ChatSettings) -> Conversation:
        """Changes who answers next, and how. Answers that were given stay as they are."""
        self._records.change(owner, id, settings=replace(settings, system=writable(settings.system)))
        return self.open(owner, id)

    # --- answers --------------------------------------------------------------------------

    def send(
        self,
        owner: str,
        conversation: Conversation,
        parts: Sequence[StillPart],
        *,
        task: Task = Task.CHAT,
        query: str = "",
        stop: Event | None = None,
    ) -> Generator[Progress]:
        """Adds a message to a chat, with the settings that `conversation` carries, and answers it.

        `query` is what a task other than CHAT is about; without one it is the message's text.
        Raises `BadInput` when there is nothing to answer, too many images, or none where one is
        needed (nothing is kept then), and `NotFound` when the chat has been deleted.
        """
        asked = _asked(owner, parts, task, query)
        current = self._current(owner, conversation)
        title = current.title if current.messages else title_of(asked.parts, task, asked.query)
        return self._ask(replace(current, title=title), asked, stop)

    def edit(
        self, owner: str, id: str, message_id: str, parts: Sequence[StillPart], *, stop: Event | None = None
    ) -> Generator[Progress]:
        """Puts another message in the place of a user's earlier one and answers it.

        What came after is no longer shown; its answers and votes are kept for training. The
        message keeps its task; its new text, if there is one, becomes what the task is about.
        """
        conversation = self.open(owner, id)
        place = _place_of(conversation, message_id)
        old = conversation.messages[place]
        asked = _asked(owner, parts, old.task, "" if _has_text(parts) else old.query)
        title = conversation.title
        if place == 0 and title == title_of(old.turn.parts, old.task, old.query):
            title = title_of(asked.parts, asked.task, asked.query)
        shown = replace(conversation, title=title, messages=conversation.messages[:place])
        return self._ask(shown, asked, stop, instead_of=message_id)

    def regenerate(self, owner: str, id: str, *, stop: Event | None = None) -> Generator[Progress]:
        """Answers the last user's message again, or at last, with the chat's present settings.

        The earlier answer becomes an alternative, with its vote.
        """
        shown = _up_to_question(self.open(owner, id))
        check_images(self._find, shown.settings.model, shown.messages[-1].task, image_counts(shown))
        return self._stream.answer(shown, stop)

    def ask_beside(
        self, owner: str, id: str, settings: ChatSettings, *, stop: Event | None = None
    ) -> Generator[Progress]:
        """Answers the last user's message once more, by another model or adapter.

        The answer becomes an alternative beside the one that is shown, which stays the one that
        the chat goes on with, and the chat keeps its settings. A model that lacks the message's
        task is asked in words. Raises `BadInput` when there is no answer yet.
        """
        conversation = self.open(owner, id)
        answered = conversation.messages[-1]
        if answered.answer is None:
            raise BadInput("There is no answer yet to put another one beside: ask first.")
        shown = _up_to_question(conversation)
        asked = in_words(self._find, settings.model, shown.messages[-1])
        check_images(self._find, settings.model, asked.task, image_counts(shown))
        return self._stream.answer(shown, stop, beside=Beside(settings, answered))

    def resume(self, owner: str, id: str, *, stop: Event | None = None) -> Generator[Progress]:
        """Goes on from the text of a last answer that was cut, stopped or broken off.

        Raises `BadInput` when there is no such answer.
        """
        conversation = self.open(owner, id)
        last = conversation.messages[-1]
        if last.answer is None or last.answer.finish is Finish.STOP or not last.answer.text:
            raise BadInput("There is no answer that was cut: ask again, or write a message.")
        return self._stream.answer(_up_to_question(conversation), stop, cut=last)

    def _ask(
        self, shown: Conversation, asked: Asked, stop: Event | None, instead_of: str | None = None
    ) -> Generator[Progress]:
        counts = [*image_counts(shown), len(asked.pictures)]
        check_images(self._find, shown.settings.model, asked.task, counts)
        return self._stream.answer(self._records.add_asked(shown, asked, instead_of=instead_of), stop)

    def _current(self, owner: str, conversation: Conversation) -> Conversation:
        """The conversation as it is kept now, with the settings that the user has before him."""
        if conversation.owner != owner:
            raise NotFound("This chat does not exist or is not yours: start a new one.")
        chosen = replace(conversation.settings, system=writable(conversation.settings.system))
        if not conversation.messages and not self._records.knows(owner, conversation.id):
            return replace(conversation, settings=chosen)
        return replace(self.open(owner, conversation.id), settings=chosen)

    def left_out(self, conversation: Conversation, images: int) -> str:
        """What the chosen model would not get if a message with so many images were sent now, as a
        sentence; '' where it gets all."""
        taking = Taking.of(self._find, conversation.settings.model)
        return taking.said(conversation.messages, images)

    # --- votes and alternatives -----------------------------------------------------------

    def vote(self, owner: str, id: str, message_id: str, value: int) -> Conversation:
        """Keeps a vote (-1, 0 or 1) with the answer that is shown."""
        if value not in (-1, 0, 1):
            raise BadInput(f"A vote is -1, 0 or 1, found {value}.")
        self._records.vote(owner, id, message_id, value)
        return self.open(owner, id)

    def teach(
        self, owner: str, id: str, message_id: str, index: int, value: int, taught: Taught | None
    ) -> Conversation:
        """Keeps a vote (-1, 0 or 1) and the example that was made of an answer (None: none, or none any
        more). `index` counts the `alternatives`."""
        self._records.teach(owner, id, message_id, index, value, taught)
        return self.open(owner, id)

    def teachers(self, owner: str, example: str) -> tuple[Taught, ...]:
        """What says of answers, also of those that are shown no more, that this example was made of them."""
        return self._records.teachers(owner, example)

    def alternatives(self, owner: str, id: str, message_id: str) -> tuple[Alternative, ...]:
        """All answers that an assistant's message has had, the oldest first."""
        return self._records.alternatives(owner, id, message_id)

    def choose(self, owner: str, id: str, message_id: str, index: int) -> Conversation:
        """Shows the answer with that index among `alternatives`."""
        self._records.choose(owner, id, message_id, index)
        return self.open(owner, id)

    def go_on_with(self, owner: str, id: str, message_id: str, index: int) -> Conversation:
        """Shows that answer, and lets the one who wrote it answer from here on.

        A model that was not the chat's is asked in the precision that fits best.
        """
        conversation = self.choose(owner, id, message_id, index)
        answer = self.alternatives(owner, id, message_id)[index].answer
        before = conversation.settings
        writer = replace(before, model=answer.model, adapter=answer.adapter)
        if answer.model != before.model:
            writer = replace(writer, precision="auto")
        return self.configure(owner, id, writer)

    # --- files ----------------------------------------------------------------------------

    def export_json(self, owner: str, id: str) -> bytes:
        """The chat with its images, answers, alternatives and votes as one JSON file."""
        return exchange.export(self._store, self._records, self.open(owner, id))

    def import_json(self, owner: str, data: bytes) -> Conversation:
        """Adds a chat from such a file, with new ids. Raises `BadInput` with what does not fit."""
        return self._taken(owner, data)

    def import_file(self, owner: str, path: Path) -> Conversation:
        """The same from a file on disk, which is not read where it is too large."""
        exchange.check_size(owner, path.stat().st_size)
        return self._taken(owner, path.read_bytes())

    def _taken(self, owner: str, data: bytes) -> Conversation:
        return self.open(owner, exchange.take_in(self._store, self._records, self._find, owner, data))

    def export_markdown(self, owner: str, id: str) -> str:
        """The chat for reading, with small images inside."""
        return markdown.export(self.open(owner, id))


def _asked(owner: str, parts: Sequence[StillPart], task: Task, query: str) -> Asked:
    """Checked input; the text of the message stands in for a missing query."""
    kept = checked_parts(owner, parts, task)
    if task is Task.CHAT:
        return Asked(kept)
    text = " ".join(part for part in kept if isinstance(part, str))
    return Asked(kept, task, writable(query).strip() or text.strip())


def _has_text(parts: Sequence[StillPart]) -> bool:
    return any(not isinstance(part, Picture) and part.strip() for part in parts)


def _place_of(conversation: Conversation, message_id: str) -> int:
    for place, message in enumerate(conversation.messages):
        if message.id == message_id and message.answer is None:
            return place
    raise NotFound("This message cannot be edited: it is not one of your messages in this chat.")


def _up_to_question(conversation: Conversation) -> Conversation:
    """The conversation without the answer at its end."""
    *before, last = conversation.messages
    messages: tuple[Message, ...] = (*before, last) if last.answer is None else tuple(before)
    return replace(conversation, messages=messages)
