"""Detail: small things get seen. A question is asked of the whole image and of tiles of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.grounding import bounds
from vlm_app.media import picture_from
from vlm_app.types import Answer, Delta, Finish, Picture, Region, Seen, Task, Usage
from vlm_app.workbench.sheet import Question, Step
from vlm_app.workbench.tiles import OVERLAP, Area, Look, around, cover, merged, seen_again, shows

TASKS = frozenset({Task.DETECT, Task.GROUND, Task.POINT, Task.COUNT, Task.SEGMENT})
_BLANK = 3  # levels of 255 by which the pixels of a tile differ at most when there is nothing on it

Ask = Callable[[Picture, Task, str], Iterator[Delta]]


def detail(ask: Ask, picture: Picture, question: Question) -> Generator[Step]:
    """Ask about the whole image, then about tiles of the size that the model sees, and merge.

    Args:
        ask: asks one model about one picture, as `Engine.answer` does: the last delta holds the
            answer, and closing the iterator ends it.
        picture: the image.
        question: its task and query are asked each time.

    Yields:
        A step for each delta, with what was found so far; `done` of `total` looks are finished,
        and the total grows when things are looked at again. The last step's answer holds
        everything, and its `seen.note` says what was done. Tiles whose pixels are all of one
        colour (within 3 levels of 255) are not asked: there is nothing on them. Closing the
        generator closes the look that is on its way. A look that was stopped ends the whole, as
        CANCELLED, with what was found until then.

    Raises:
        BadInput: the task is none that finds things in places.
        Whatever `ask` raises.
    """
    check(question.task)
    looking = _Looking(ask, picture, question)
    yield from looking.over([(0, 0, *picture.size)])
    side, tiles = cover(picture.size, looking.seen.size)
    todo = [tile for tile in tiles if not _blank(picture, tile)]
    if looking.finish is Finish.STOP:
        yield from looking.over(todo)
    if looking.finish is Finish.STOP:
        yield from looking.again(side)
    yield looking.last(side, len(todo), len(tiles) - len(todo))


def check(task: Task) -> None:
    """Raises `BadInput` for a task that finds nothing in places."""
    if task in (Task.OCR, Task.OCR_REGIONS):
        # Lines are wider than tiles: joining their pieces would invent or lose letters at each seam.
        raise BadInput(
            "Detail looks at tiles, and their borders would cut lines of text: turn detail off to read, "
            "or read a smaller part of the page."
        )
    if task not in TASKS:
        raise BadInput(
            "Detail finds small things with detect, ground, point, count or segment, found "
            f"'{task.replace('_', ' ')}': choose one of these, or turn detail off."
        )


class _Looking:
    """One question on its way over an image."""

    def __init__(self, ask: Ask, picture: Picture, question: Question) -> None:
        self._ask, self._picture = ask, picture
        self._task, self._query = question.task, question.query
        self._began = time.monotonic()
        self._first: list[Look] = []  # the whole image and its tiles
        self._second: list[Look] = []
        self._answers: list[Answer] = []
        self._shown = Answer("", task=question.task)
        self._regions: tuple[Region, ...] = ()
        self._total = 1
        self._merged_at = self._merge_cost = 0.0
        self._told: object = None
        self._twice = self._unconfirmed = 0
        self.seen = Seen()
        self.finish = Finish.STOP

    def over(self, tiles: Sequence[Area]) -> Generator[Step]:
        """Look at each tile, or at the whole image."""
        self._total = len(self._first) + len(tiles)
        for tile in tiles:
            answer = yield from self._look(tile, self._task)
            if answer is not None:  # also of one that was stopped
                self._first.append(Look(tile, self._picture.size, answer.regions))
            if self.finish is Finish.CANCELLED:
                break
            self._merge()
            yield self._step()
        self._merge(at_once=True)

    def _merge(self, at_once: bool = False) -> None:
        """What was found so far, each once; now and then only, so that merging is a small share."""
        begun = time.monotonic()
        if at_once or begun - self._merged_at > 10 * self._merge_cost:
            self._regions, self._twice = merged(self._first)
            self._merged_at = time.monotonic()
            self._merge_cost = self._merged_at - begun

    def again(self, side: int) -> Generator[Step]:
        """Look at each thing once more, in the middle of a part: what was made up is not there again.

        A model that is shown a part without anything on it likes to name something all the same.
        One that is asked to GROUND a phrase always does: where it can DETECT it is asked that,
        and may find nothing.
        """
        size, kept = self._picture.size, list[Region]()
        for number, region in enumerate(self._regions, 1):
            box = bounds(region.shape)
            area = around(box, size, side)
            if area == (0, 0, *size):  # so large that the first look was close enough
                kept.append(region)
                continue
            look = next((one for one in self._second if shows(one.area, box, size, area)), None)
            if look is None:
                self._total += 1
                answer = yield from self._closer(area)
                if answer is None or self.finish is Finish.CANCELLED:
                    return
                look = Look(area, size, answer.regions)
                self._second.append(look)
            again = seen_again(region, look)
            kept += [again] if again else []
            self._unconfirmed = number - len(kept)
            yield self._step()
        self._regions, twice = merged([Look((0, 0, *size), size, tuple(kept))])
        self._twice += twice

    def _closer(self, area: Area) -> Generator[Step, None, Answer | None]:
        """The second look at a part."""
        if self._task is Task.GROUND:
            try:
                return (yield from self._look(area, Task.DETECT))
            except ModelUnavailable:  # it grounds, and cannot detect
                pass
        return (yield from self._look(area, self._task))

    def _look(self, area: Area, task: Task) -> Generator[Step, None, Answer | None]:
        """Ask about one part; a step for each delta, so that whoever reads can leave in between."""
        part = self._picture
        if area != (0, 0, *part.size):
            part = picture_from(part.pixels.crop(area))
        answer: Answer | None = None
        deltas = self._ask(part, task, self._query)
        with closing(deltas) if isinstance(deltas, Generator) else nullcontext():
            for delta in deltas:
                answer = delta.answer or answer
                yield self._step()
        if answer is None or answer.finish in (Finish.CANCELLED, Finish.FAILED):
            self.finish = Finish.CANCELLED
        if answer is not None:
            self.seen = self.seen if self._answers else answer.seen
            self._answers.append(answer)
        return answer

    # --- what is told ---------------------------------------------------------------------

    def _step(self) -> Step:
        done = len(self._first) + len(self._second)
        if (self._regions, done) != self._told:
            self._told = (self._regions, done)
            self._shown = self._answer(self.seen.note)
        return Step(self._shown, done=done, total=self._total)

    def last(self, side: int, tiles: int, blanks: int) -> Step:
        """The whole answer, with what was done."""
        note = f"{self.seen.note} {self._note(side, tiles, blanks)}".strip()
        done = len(self._first) + len(self._second)
        return Step(self._answer(note), done=done, total=self._total)

    def _note(self, side: int, tiles: int, blanks: int) -> str:
        asked, stopped = max(len(self._first) - 1, 0), self.finish is Finish.CANCELLED
        many = f"stopped at {asked} of {tiles} tiles" if stopped else f"{tiles} tiles"
        smaller = f", shown at {min(self.seen.size)}" if self.seen.size and min(self.seen.size) < side else ""
        did = [f"{many} of {side} × {side} pixels{smaller}", f"overlap {OVERLAP:.0%}"]
        did += [f"{blanks} of one colour left out"] * bool(blanks)
        did += [f"{_counted(self._twice, 'duplicate')} merged"]
        did += [f"{_counted(self._unconfirmed, 'region')} not seen again in a second look"]
        cut = sum(answer.finish is Finish.LENGTH for answer in self._answers)
        did += [f"{_counted(cut, 'answer')} cut off by the token limit"] * bool(cut)
        return f"Detail: {', '.join(did)}, {time.monotonic() - self._began:.1f} s."

    def _answer(self, note: str) -> Answer:
        """What the looks say together. `raw` keeps what was written, one look after another."""
        if not self._answers:
            return Answer("", task=self._task, finish=self.finish)
        first, usages = self._answers[0], [answer.usage for answer in self._answers]
        text, regions = _written(self._regions, self._task, first)
        return replace(
            first,
            text=text,
            regions=regions,
            raw="\n".join(answer.raw for answer in self._answers),
            task=self._task,
            seen=replace(self.seen, tiles=len(self._answers), note=note),
            usage=sum(usages, Usage()),
            timings=replace(first.timings, total=time.monotonic() - self._began),
            finish=self.finish,
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _written(regions: tuple[Region, ...], task: Task, first: Answer) -> tuple[str, tuple[Region, ...]]:
    """One label per region, joined by commas, as an answer of pure markup reads."""
    text, told = "", list[Region]()
    for region in regions:
        text += ", " if text else ""
        told.append(replace(region, span=(len(text), len(text) + len(region.label))))
        text += region.label
    if task is Task.COUNT:
        text += f"{'. ' if text else ''}Total: {len(told)}."
    elif not told:
        text = "Nothing was found." if first.regions else first.text
    return text, tuple(told)


def _blank(picture: Picture, area: Area) -> bool:
    """Whether all pixels of a part have one colour; a faint scratch is more than that."""
    lowest_highest: Any = picture.pixels.crop(area).getextrema()
    return all(high - low <= _BLANK for low, high in lowest_highest)
