"""One answer from its first word until it is kept, however it ends."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event
from typing import Protocol

from vlm_app.chat.asking import in_words, kept_images, request_of
from vlm_app.chat.conversation import ChatSettings, Conversation, Message, Progress
from vlm_app.chat.draft import Draft
from vlm_app.chat.records import Records
from vlm_app.chat.taking import Find
from vlm_app.errors import AppError, NotFound
from vlm_app.store import new_id
from vlm_app.types import Answer, Delta, Finish, Region, Request

logger = logging.getLogger(__name__)


class Answers(Protocol):
    """What a chat needs of the engine: closing the iterator, or setting `stop`, ends generation
    within a token; of a stopped one the last delta still brings the whole answer."""

    def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]: ...


@dataclass(frozen=True)
class Beside:
    """Another answer to the same message: who gives it, and the answer that it stands beside."""

    settings: ChatSettings
    answered: Message


class Stream:
    """Asks the engine, passes its progress on, keeps the answer: also a stopped or a failed one."""

    def __init__(self, records: Records, engine: Answers, find: Find) -> None:
        self._records = records
        self._engine = engine
        self._find = find

    def answer(
        self,
        shown: Conversation,
        stop: Event | None = None,
        *,
        cut: Message | None = None,
        beside: Beside | None = None,
    ) -> Generator[Progress]:
        """Answers the last message of `shown`, a user's. `cut` is the answer to it that is continued,
        `beside` says who answers where the answer stands beside the one that is shown.

        Setting `stop` ends it with an answer that is `Finish.CANCELLED`; closing the generator keeps
        what there is as such, without its raw text. What the engine refuses
        becomes an answer that is `Finish.FAILED` with the sentence in `error`. Raises `NotFound`
        at its end when the chat was deleted meanwhile.
        """
        before = cut.answer if cut is not None else None
        asked = self._asked(shown, beside)
        draft = Draft(asked.settings, asked.messages[-1].task, before)
        page = _Page(shown, beside)
        try:
            yield page.growing(draft.answer())
            for _ in self._deltas(asked, draft, before, stop):
                yield page.growing(draft.answer())
            answer = draft.answer(Finish.FAILED, "The model ended without an answer: ask again.")
        except (GeneratorExit, KeyboardInterrupt):
            with suppress(NotFound):  # the chat was deleted while it was answered: nothing to keep
                self._keep(shown, cut, beside, draft.answer(Finish.CANCELLED))
            raise
        except AppError as error:
            answer = draft.answer(Finish.FAILED, error.sentence)
        except Exception:
            id = new_id()[-8:]
            logger.exception("an answer failed: %s", id)
            mistake = f"The app made a mistake (logged as {id}): ask again, or choose another model."
            answer = draft.answer(Finish.FAILED, mistake)
        yield page.done(self._keep(shown, cut, beside, answer), answer)

    def _asked(self, shown: Conversation, beside: Beside | None) -> Conversation:
        """The conversation as the model that answers is asked."""
        if beside is None:
            return shown
        *past, question = shown.messages
        words = in_words(self._find, beside.settings.model, question)
        return replace(shown, settings=beside.settings, messages=(*past, words))

    def _deltas(
        self, asked: Conversation, draft: Draft, before: Answer | None, stop: Event | None
    ) -> Generator[None]:
        """Fills the draft; a step for every delta but the last."""
        chosen = asked.settings
        request = request_of(self._find, asked, chosen, before)
        images = kept_images(self._find, asked, chosen.model)
        answering = self._engine.answer(request) if stop is None else self._engine.answer(request, stop)
        with closing(_passed_on(answering)) as deltas:
            for delta in deltas:
                draft.add(_on_images(delta, images))
                if not draft.finished:
                    yield

    def _keep(
        self, shown: Conversation, cut: Message | None, beside: Beside | None, answer: Answer
    ) -> Message:
        """The message with the answer as it is kept."""
        if cut is not None:
            return self._records.extend_answer(shown.owner, cut.id, answer)
        asked = shown.messages[-1].id
        return self._records.add_answer(shown.owner, asked, answer, beside=beside is not None)


class _Page:
    """What is shown of an answer on its way, and at its end."""

    def __init__(self, shown: Conversation, beside: Beside | None) -> None:
        self._question = shown
        self._beside = beside is not None
        others = () if beside is None else (beside.answered,)
        self._shown = replace(shown, messages=(*shown.messages, *others))

    def growing(self, answer: Answer) -> Progress:
        return Progress(self._shown, answer, done=False, beside=self._beside)

    def done(self, kept: Message, answer: Answer) -> Progress:
        messages = (*self._question.messages, kept)
        whole = replace(self._question, messages=messages, updated=datetime.now(UTC))
        return Progress(whole, answer, done=True, beside=self._beside)


def _on_images(delta: Delta, images: range) -> Delta:
    """The same, with the images counted that the conversation has: the model got some of them."""
    if not images or images.start == 0:
        return delta
    answer = delta.answer and replace(delta.answer, regions=_moved(delta.answer.regions, images))
    return replace(delta, regions=_moved(delta.regions, images), answer=answer)


def _moved(regions: tuple[Region, ...], images: range) -> tuple[Region, ...]:
    last = len(images) - 1
    return tuple(replace(each, image=images[min(each.image, last)]) for each in regions)


def _passed_on(deltas: Iterator[Delta]) -> Generator[Delta]:
    """The same as a generator: closing it closes what it passes on."""
    yield from deltas
