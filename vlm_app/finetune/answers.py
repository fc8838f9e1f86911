"""From an answer of a chat to an example: approved, rejected, corrected, or better than another one.

An example is one question about its pictures. What was said before it in the chat is no part of it,
which its note says; a question without a picture of its own brings the pictures that it is about.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vlm_app.errors import BadInput
from vlm_app.families.plain import task_in_words
from vlm_app.finetune.examples import Example, Reply, Source
from vlm_app.grounding.moved import Moved
from vlm_app.types import PERSON, Answer, Finish, Picture, Region, Task, Turn

# Answers to these are places and their names: places are corrected on the picture, not in words.
PLACES = frozenset({Task.DETECT, Task.GROUND, Task.POINT, Task.SEGMENT, Task.OCR_REGIONS})


@dataclass(frozen=True)
class Asked:
    """A question of a chat.

    `pictures` are all images of the chat up to it, which `Region.image` counts, `own` those of them
    that came with it, or where it brought none with the last message that did; `seen` those that the
    model got. `earlier` is the number of questions before it.
    """

    turn: Turn
    task: Task
    query: str
    pictures: tuple[Picture, ...]
    own: range
    seen: range
    earlier: int = 0


@dataclass(frozen=True)
class Given:
    """An answer to it; `said` is its text without what the model thought aloud, an end of that text."""

    answer: Answer
    said: str

    @property
    def reply(self) -> Reply:
        """What was said, with the regions' phrases where they lie in it."""
        before = len(self.answer.text) - len(self.said)
        return Reply(self.said, tuple(_earlier(each, before) for each in self.answer.regions))


def approved(asked: Asked, given: Given) -> Example:
    """The answer is right. Raises `BadInput` where it is no example, as all of these do."""
    _check_whole(given.answer)
    return _example(asked, given, given.reply, None, Source.ANSWER, given.answer.model or PERSON)


def rejected(asked: Asked, given: Given) -> Example:
    """The answer is wrong, and nobody said what is right."""
    if not given.said.strip() and not given.answer.regions:
        raise BadInput("There is no answer here that could be wrong: ask again.")
    return _example(asked, given, None, given.reply, Source.VOTE, PERSON)


def corrected(asked: Asked, given: Given, text: str) -> Example:
    """The answer was wrong, and `text` is right.

    Regions stay with their phrases; one whose phrase is gone goes. Of a corrected count no places
    are kept: nobody said which of them was wrong.
    """
    was, text = given.reply, text.strip()
    if given.answer.task in PLACES:
        raise BadInput("This answer is made of places: open it on the workbench and correct them there.")
    if text == was.text.strip():
        raise BadInput("The words are the same as before: change them, or press thumb up if they are right.")
    regions = () if given.answer.task is Task.COUNT else tuple(_moved(was, text))
    wrong = was if was.text.strip() or was.regions else None
    return _example(asked, given, Reply(text, regions), wrong, Source.ANSWER, PERSON)


def preferred(asked: Asked, better: Given, worse: Given) -> Example:
    """One answer is better than another one to the same question."""
    if better.answer.task is not worse.answer.task:
        raise BadInput(
            "These two were asked differently, one by its task and one in words: compare answers to the same."
        )
    _check_whole(better.answer)
    if better.reply == worse.reply:
        raise BadInput("These two answers are the same: ask again with a temperature above 0.")
    maker = better.answer.model or PERSON
    return _example(asked, better, better.reply, worse.reply, Source.VOTE, maker)


def _check_whole(answer: Answer) -> None:
    if answer.finish is Finish.STOP:
        return
    raise BadInput("This answer did not come to its end: continue it first, or correct it.")


# --- the example ------------------------------------------------------------------------------


def _example(
    asked: Asked, given: Given, right: Reply | None, wrong: Reply | None, source: Source, maker: str
) -> Example:
    used = _used(asked, [each for reply in (right, wrong) if reply for each in reply.regions])
    task, query = _question(asked, given.answer, used)
    here, there = (None if each is None else _on(each, used) for each in (right, wrong))
    try:
        return Example(
            pictures=tuple(asked.pictures[number] for number in used), task=task, query=query,
            text=None if here is None else here.text, regions=() if here is None else here.regions,
            source=source, maker=maker, rejected=there, note=_note(asked),
        )  # fmt: skip
    except ValueError as error:
        raise BadInput(f"This is no example to learn from: {error}.") from error


def _used(asked: Asked, regions: Sequence[Region]) -> list[int]:
    """The images that the example is about: those of the question that the model got, and those
    that the answer draws on."""
    drawn = {each.image for each in regions if each.image < len(asked.pictures)}
    used = sorted(drawn | {number for number in asked.own if number in asked.seen})
    if not used:
        raise BadInput("An example is about a picture, and this question has none: add one to the message.")
    return used


def _on(reply: Reply, used: Sequence[int]) -> Reply:
    """The reply with its regions on the pictures of the example."""
    kept = [replace(each, image=used.index(each.image)) for each in reply.regions if each.image in used]
    return Reply(reply.text, tuple(kept))


def _question(asked: Asked, answer: Answer, used: Sequence[int]) -> tuple[Task, str]:
    """What the model was asked: in words where it lacks the task."""
    if answer.task is not Task.CHAT:
        return answer.task, asked.query
    if asked.task is not Task.CHAT:
        return Task.CHAT, task_in_words(asked.task, asked.query)
    return Task.CHAT, _words(asked, used)


def _words(asked: Asked, used: Sequence[int]) -> str:
    """The words of a message. Its pictures stand before them; one in their midst is named there."""
    number = asked.own.start - 1 if asked.turn.pictures else 0
    parts: list[str | int] = []
    for part in asked.turn.parts:
        if isinstance(part, str):
            parts.append(part.strip())
        elif isinstance(part, Picture):
            number += 1
            parts.append(number)
    while parts and isinstance(parts[0], int):
        parts.pop(0)
    while parts and isinstance(parts[-1], int):
        parts.pop()
    return _joined(parts, used)


def _joined(parts: Sequence[str | int], used: Sequence[int]) -> str:
    text, after = "", False
    for part in parts:
        named = isinstance(part, int)
        if isinstance(part, int):
            if part not in used:  # the model did not get it
                continue
            part = f"image {used.index(part) + 1}" if len(used) > 1 else "the image"
        text += ("" if not text else " " if named or after else "\n") + part
        after = named
    return text


def _note(asked: Asked) -> str:
    if not asked.earlier:
        return ""
    before = "The question before it in its chat is" if asked.earlier == 1 else (
        f"The {asked.earlier} questions before it in its chat are"
    )  # fmt: skip
    own = "" if asked.turn.pictures else " Its pictures are those of an earlier message."
    return f"{before} left out.{own}"


# --- phrases ----------------------------------------------------------------------------------


def _earlier(region: Region, by: int) -> Region:
    """The region in a text that lacks so many characters at its beginning."""
    if not by or region.span is None:
        return region
    start, end = region.span
    return replace(region, span=(start - by, end - by) if start >= by else None)


def _moved(was: Reply, text: str) -> Iterator[Region]:
    """The regions whose phrases are still there, also corrected ones, which name their regions anew."""
    moved = Moved(was.text, text)
    for region in was.regions:
        if region.span is None:
            yield region
            continue
        span = moved.span(region.span)
        if span is not None:
            yield replace(region, span=span, label=_label(region, was.text, text[slice(*span)]))


def _label(region: Region, before: str, phrase: str) -> str:
    """A label that was the phrase follows it."""
    was = before[slice(*region.span)] if region.span else ""
    return phrase if region.label.casefold() == was.casefold() else region.label
