"""One question from its first word until its finding is kept, however it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import Event
from typing import Protocol

from vlm_app.errors import AppError, GenerationFailed, NotFound
from vlm_app.store import new_id
from vlm_app.types import Answer, Delta, Finish, Picture, Request, Task
from vlm_app.workbench.asking import pages_of, request_of
from vlm_app.workbench.growing import Growing
from vlm_app.workbench.pages import Pages
from vlm_app.workbench.rows import Body, Kept, Record, Tracked
from vlm_app.workbench.sheet import Finding, Page, Question, Sheet, Step
from vlm_app.workbench.sheets import Sheets

SAVE_SECONDS = 30.0  # between two savings of a question about many pages

logger = logging.getLogger(__name__)


class Answers(Protocol):
    """What the workbench needs of the engine: closing the iterator, or setting `stop`, ends
    generation within a token; of a stopped one the last delta still brings the whole answer."""

    def answer(self, request: Request, stop: Event | None = None) -> Iterator[Delta]: ...


@dataclass(frozen=True)
class Asked:
    """A checked question about pages of a sheet."""

    sheet: Sheet
    body: Body
    keys: Sequence[str]
    question: Question
    beside: str | None = None

    @property
    def pages(self) -> tuple[Page, ...]:
        return pages_of(self.sheet, self.keys)

    @property
    def kept(self) -> tuple[Kept, ...]:
        chosen = {page.key for page in self.pages}
        return tuple(kept for kept in self.body.pages if kept.page.key in chosen)


class Answering:
    """Asks the engine, passes its progress on, keeps the finding: also of a stopped or failed one."""

    def __init__(
        self, sheets: Sheets, pages: Pages, engine: Answers, asked: Asked, stop: Event | None
    ) -> None:
        self._sheets, self._pages, self._engine = sheets, pages, engine
        self._asked = asked
        self._stop = stop or Event()
        self._id = new_id()
        self._created = datetime.now(UTC)
        self._chat = asked.question.task is Task.CHAT
        rounds = 1 if self._chat else len(asked.pages)
        self._growing = Growing(asked.question, asked.pages, rounds, self._id[-12:])
        self._begun: list[Kept] = []  # the pages that were asked about so far
        self._pending: dict[str, Picture] = {}  # of them, those that are not kept as images yet
        self._media: dict[str, str] = {}
        self._saved_at = time.monotonic()

    def steps(self) -> Generator[Step]:
        growing = self._growing
        try:
            yield growing.step()
            yield from self._rounds()
            answer = growing.answer(self._ended())
        except (GeneratorExit, KeyboardInterrupt):
            with suppress(NotFound):  # the sheet was deleted meanwhile: nothing to keep
                self._keep(growing.answer(Finish.CANCELLED))
            raise
        except AppError as error:
            answer = growing.answer(Finish.FAILED, error.sentence)
        except Exception:
            id = new_id()[-8:]
            logger.exception("a question on the workbench failed: %s", id)
            mistake = f"The app made a mistake (logged as {id}): ask again, or choose another model."
            answer = growing.answer(Finish.FAILED, mistake)
        finding = self._keep(answer)
        last = growing.step()
        yield replace(last, answer=answer, finding=finding, done=last.total, marks=finding.marks)

    def _rounds(self) -> Generator[Step]:
        """All pages at once, or one after another."""
        asked = self._asked
        groups = [asked.kept] if self._chat else [(kept,) for kept in asked.kept]
        with closing(self._pages.pictures(asked.sheet.owner, asked.body, asked.kept)) as pictures:
            for group in groups:
                if self._stop.is_set() and self._begun:
                    return
                found = [next(pictures) for _ in group]
                self._growing.begin()
                self._begun += group
                self._pending |= {
                    kept.page.key: one for kept, one in zip(group, found, strict=True) if kept.media is None
                }
                yield from self._round(group, found)
                self._hold()
                if self._over():
                    return
                self._save()

    def _over(self) -> bool:
        """Whether the last round was stopped or failed, so that no further page is asked about."""
        last = self._growing.last
        return last is not None and last.finish in (Finish.CANCELLED, Finish.FAILED)

    def _ended(self) -> Finish | None:
        """CANCELLED where pages were left out that nobody has said of."""
        left_out = len(self._begun) < len(self._asked.kept)
        return Finish.CANCELLED if left_out and not self._over() else None

    def _round(self, group: Sequence[Kept], pictures: Sequence[Picture]) -> Generator[Step]:
        """One request, or one page looked at in detail; a step for everything that happens."""
        growing, question = self._growing, self._asked.question
        if question.detail:
            yield from self._in_detail(pictures[0])
            return
        request = request_of(question, self._asked.sheet, [kept.page for kept in group], pictures)
        whole = False
        with closing(self._deltas(request)) as deltas:
            for delta in deltas:
                growing.add(delta)
                whole = whole or delta.answer is not None
                yield growing.step()
        if not whole:
            raise GenerationFailed("The model ended without an answer: ask again.")

    def _in_detail(self, picture: Picture) -> Generator[Step]:
        from vlm_app.workbench.detail import detail  # numpy, for the few who ask for it

        asked = self._asked

        def ask(part: Picture, task: Task, query: str) -> Iterator[Delta]:
            about = replace(asked.question, task=task, query=query)
            return self._deltas(request_of(about, asked.sheet, asked.pages[:1], [part]))

        with closing(detail(ask, picture, asked.question)) as steps:
            for step in steps:
                self._growing.take(step)
                yield self._growing.step()

    def _deltas(self, request: Request) -> Generator[Delta]:
        """The engine's, as a generator: closing it closes what it passes on."""
        yield from self._engine.answer(request, self._stop)

    # --- keeping --------------------------------------------------------------------------

    def _hold(self) -> None:
        """Keeps the pages that were asked about as images: a finding outlives the cache."""
        sheet = self._asked.sheet
        for key in list(self._pending):
            self._media[key] = self._sheets.hold(sheet.owner, sheet.id, key, self._pending[key])
            del self._pending[key]

    def _save(self) -> None:
        """Keeps what there is of a long question now and then: a power cut costs a minute, not an hour."""
        left = len(self._asked.kept) - len(self._begun)
        if left and time.monotonic() - self._saved_at >= SAVE_SECONDS:
            self._keep(self._growing.answer(Finish.CANCELLED))
            self._saved_at = time.monotonic()

    def _keep(self, answer: Answer) -> Finding:
        """The finding with what there is, about the pages that were begun."""
        self._hold()
        asked = self._asked
        begun = self._begun or asked.kept[:1]  # nothing was asked: no page could be read
        marks = self._growing.step().marks
        finding = Finding(
            id=self._id,
            owner=asked.sheet.owner,
            sheet=asked.sheet.id,
            pages=tuple(kept.page.key for kept in begun),
            question=asked.question,
            answer=answer,
            marks=marks,
            text=answer.text,
            created=self._created,
            updated=datetime.now(UTC),
            beside=asked.beside,
            note=self._note(),
        )
        media = tuple(kept.media or self._media.get(kept.page.key, "") for kept in begun)
        names = tuple(name_of(asked.sheet, kept.page) for kept in begun)
        tracked = tuple(Tracked(mark, place) for place, mark in enumerate(marks))
        kept = self._sheets.add_finding(Record(finding, media, names, tracked), begun)
        self._id = kept.id
        return kept

    def _note(self) -> str:
        begun, whole = len(self._begun), len(self._asked.kept)
        stopped = f"{begun} of {whole} pages were asked about." if 0 < begun < whole else ""
        return " ".join(filter(None, (self._growing.note(), stopped)))


def name_of(sheet: Sheet, page: Page) -> str:
    """What a page is called in files that are exported: 'cat.png', 'report-p3.png'."""
    if page.number is None and page.seconds is None:
        return page.title
    stem = sheet.name.rsplit(".", 1)[0]
    return f"{stem}-p{page.number}.png" if page.number is not None else f"{stem}-{page.seconds:.3f}s.png"
