"""An answer about one or several pages while it is being written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from vlm_app.types import Answer, Delta, Finish, Region, Seen, Timings
from vlm_app.workbench.asking import READING
from vlm_app.workbench.sheet import Mark, Page, Question, Step

_WORST = (Finish.FAILED, Finish.CANCELLED, Finish.LENGTH, Finish.STOP)


class Growing:
    """Collects what is answered, round by round: all pages in one, or a page each.

    Text is only ever appended to; a mark keeps its id while its region is there.
    """

    def __init__(self, question: Question, pages: Sequence[Page], rounds: int, prefix: str) -> None:
        self._question = question
        self._pages = pages
        self._rounds = rounds
        self._blank = Answer(
            "",
            task=question.task,
            model=question.model,
            precision="" if question.precision == "auto" else question.precision,
        )
        self._finished: list[Answer] = []  # one for each round that is over
        self._whole = self._blank  # what they say together
        self._current: Answer | None = None  # of the round on its way
        self._lead = ""  # what stands before its text
        self._marking = Marking(prefix, question.model)
        self._marks: tuple[Mark, ...] = ()  # of the rounds that are over
        self._parts = (0, 1)  # done and total within a round

    @property
    def last(self) -> Answer | None:
        """The answer of the round that is on its way, or was the last."""
        return self._current or (self._finished[-1] if self._finished else None)

    def begin(self) -> None:
        """The next round begins; what was said so far stays."""
        self._settle()
        self._current = self._blank
        self._lead = self._introduction() if self._rounds > 1 else ""

    def _introduction(self) -> str:
        """What stands before a page's text: its title, but not in what was read off pages."""
        gap = "\n\n" if self._whole.text else ""
        titled = self._question.task not in READING
        return f"{gap}{self._pages[len(self._finished)].title}: " if titled else gap

    def add(self, delta: Delta) -> None:
        """A piece of the round's answer, or all of it."""
        current = self._current or self._blank
        self._current = delta.answer or replace(
            current, text=current.text + delta.text, regions=current.regions + delta.regions
        )

    def take(self, step: Step) -> None:
        """The round's answer as something else has put it together."""
        self._current = step.answer
        self._parts = (step.done, step.total)

    def step(self) -> Step:
        """What there is now."""
        answer = self._together()
        done, total = (len(self._finished), self._rounds) if self._rounds > 1 else self._parts
        before = len(self._marks)  # those of rounds that are over do not change any more
        marks = self._marks + self._marking.marks(answer.regions[before:])
        return Step(answer, done=done, total=total, marks=marks)

    def answer(self, finish: Finish | None = None, error: str = "") -> Answer:
        """What there is; `finish` and `error` count where the model did not say how it ended."""
        whole = self._together()
        ended = finish or whole.finish
        return replace(
            whole, model=whole.model or self._question.model, finish=ended, error=error or whole.error
        )

    def note(self) -> str:
        """What was done beside asking, page by page."""
        parts = [*self._finished, *([self._current] if self._current else [])]
        if self._rounds == 1:
            return parts[-1].seen.note if parts else ""
        noted = [(page, part.seen.note) for page, part in zip(self._pages, parts, strict=False)]
        return " ".join(f"{page.title}: {note}" for page, note in noted if note)

    def _settle(self) -> None:
        if self._current is not None:
            self._whole, self._marks = self._together(), self.step().marks
            self._marking.settle()
            self._finished.append(self._current)
            self._current = None

    def _together(self) -> Answer:
        """All rounds so far as one answer."""
        if self._current is None:
            return self._whole
        current = replace(self._current, regions=self._placed(self._current))
        if self._rounds == 1:
            return current
        whole = self._whole
        nothing = not (current.text or current.regions)
        return replace(
            current if not self._finished else whole,
            text=whole.text + ("" if nothing else self._lead + current.text),
            regions=whole.regions + current.regions,
            raw="\f".join((*(part.raw for part in self._finished), current.raw)),
            seen=replace(current.seen, note="") if current.seen != Seen() else whole.seen,
            usage=whole.usage + current.usage,
            timings=_sum_timings(whole.timings, current.timings, bool(self._finished)),
            finish=min(whole.finish, current.finish, key=_WORST.index) if self._finished else current.finish,
            error=current.error,
        )

    def _placed(self, answer: Answer) -> tuple[Region, ...]:
        """The round's regions with their pages counted, and their spans in the whole text."""
        last = len(self._pages) - 1
        page = len(self._finished)
        regions = [_within(region, len(answer.text)) for region in answer.regions]
        if self._rounds == 1:
            return tuple(_on(region, min(region.image, last)) for region in regions)
        offset = len(self._whole.text) + len(self._lead)
        return tuple(_moved(region, page, offset) for region in regions)


class Marking:
    """Gives regions their marks: a region that was there before keeps its id."""

    def __init__(self, prefix: str, maker: str) -> None:
        self._prefix = prefix
        self._maker = maker
        self._count = 0
        self._marks: tuple[Mark, ...] = ()

    def settle(self) -> None:
        """The marks that were given stay as they are; others follow."""
        self._marks = ()

    def marks(self, regions: tuple[Region, ...]) -> tuple[Mark, ...]:
        if regions == tuple(mark.region for mark in self._marks):
            return self._marks
        before: defaultdict[object, list[str]] = defaultdict(list)
        for mark in reversed(self._marks):
            before[_identity(mark.region)].append(mark.id)
        self._marks = tuple(
            Mark(self._id(before[_identity(region)]), region, self._maker) for region in regions
        )
        return self._marks

    def _id(self, known: list[str]) -> str:
        if known:
            return known.pop()
        self._count += 1
        return f"{self._prefix}-{self._count}"


def _identity(region: Region) -> object:
    return (region.image, region.label, region.shape)


def _within(region: Region, length: int) -> Region:
    """The same, without a phrase that lies beyond the text: it could not be read back."""
    return replace(region, span=None) if region.span and region.span[1] > length else region


def _on(region: Region, image: int) -> Region:
    return region if region.image == image else replace(region, image=image)


def _moved(region: Region, image: int, offset: int) -> Region:
    span = region.span and (region.span[0] + offset, region.span[1] + offset)
    return replace(region, image=image, span=span)


def _sum_timings(one: Timings, other: Timings, later: bool) -> Timings:
    first = one.first_token if later else other.first_token
    return Timings(one.load + other.load, first, one.total + other.total)
