"""One answer from its first word until it is kept, however it ends."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from threading import Event
from typing import Protocol

from vlm_app.chat.asking import Find, request_of
from vlm_app.chat.conversation import Conversation, Message, Progress
from vlm_app.chat.draft import Draft
from vlm_app.chat.records import Records
from vlm_app.errors import AppError, NotFound
from vlm_app.store import new_id
from vlm_app.types import Answer, Delta, Finish, Request

logger = logging.getLogger(__name__)


class Answers(Protocol):
    """What a chat needs of the engine: closing the iterator, or setting `stop`, ends generation
    within a token; of a stopped one the last delta still brings the whole answer."""

    def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]: ...


class Stream:
    """Asks the engine, passes its progress on, keeps the answer: also a stopped or a failed one."""

    def __init__(self, records: Records, engine: Answers, find: Find) -> None:
        self._records = records
        self._engine = engine
        self._find = find

    def answer(
        self, shown: Conversation, stop: Event | None = None, cut: Message | None = None
    ) -> Generator[Progress]:
        """Answers the last message of `shown`, a user's. `cut` is the answer to it that is continued.

        Setting `stop` ends it with an answer that is `Finish.CANCELLED`; closing the generator keeps
        what there is as such, without its raw text. What the engine refuses
        becomes an answer that is `Finish.FAILED` with the sentence in `error`. Raises `NotFound`
        at its end when the chat was deleted meanwhile.
        """
        before = cut.answer if cut is not None else None
        draft = Draft(shown.settings.model, shown.messages[-1].task, before)
        try:
            yield Progress(shown, draft.answer(), done=False)
            for _ in self._deltas(shown, draft, before, stop):
                yield Progress(shown, draft.answer(), done=False)
            answer = draft.answer(Finish.FAILED, "The model ended without an answer: ask again.")
        except (GeneratorExit, KeyboardInterrupt):
            with suppress(NotFound):  # the chat was deleted while it was answered: nothing to keep
                self._keep(shown, cut, draft.answer(Finish.CANCELLED))
            raise
        except AppError as error:
            answer = draft.answer(Finish.FAILED, error.sentence)
        except Exception:
            id = new_id()[-8:]
            logger.exception("an answer failed: %s", id)
            mistake = f"The app made a mistake (logged as {id}): ask again, or choose another model."
            answer = draft.answer(Finish.FAILED, mistake)
        kept = self._keep(shown, cut, answer)
        yield Progress(kept, answer, done=True)

    def _deltas(
        self, shown: Conversation, draft: Draft, before: Answer | None, stop: Event | None
    ) -> Generator[None]:
        """Fills the draft; a step for every delta but the last."""
        request = request_of(self._find, shown, before)
        answering = self._engine.answer(request) if stop is None else self._engine.answer(request, stop)
        with closing(_passed_on(answering)) as deltas:
            for delta in deltas:
                draft.add(delta)
                if not draft.finished:
                    yield

    def _keep(self, shown: Conversation, cut: Message | None, answer: Answer) -> Conversation:
        """The conversation as it was answered, with the answer as it is kept."""
        if cut is None:
            message = self._records.add_answer(shown.owner, shown.messages[-1].id, answer)
        else:
            message = self._records.extend_answer(shown.owner, cut.id, answer)
        return replace(shown, messages=(*shown.messages, message), updated=datetime.now(UTC))


def _passed_on(deltas: Iterator[Delta]) -> Generator[Delta]:
    """The same as a generator: closing it closes what it passes on."""
    yield from deltas
