"""From a question about pages to requests: checks before anything runs, and the request itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from vlm_app import families
from vlm_app.engine import can
from vlm_app.engine.opening import opening
from vlm_app.errors import BadInput, ModelUnavailable, NotFound
from vlm_app.store import writable
from vlm_app.types import Box, Checkpoint, Clip, Part, Picture, Request, Role, Sampling, Task, Turn
from vlm_app.workbench import detail
from vlm_app.workbench.sheet import Kind, Page, Question, Sheet

Find = Callable[[str], Checkpoint]

MOST_TOGETHER = 64  # pages of one question: each is some 6 MB in memory, and many words to a model
READING = frozenset({Task.OCR, Task.OCR_REGIONS})
_WITH_QUERY = frozenset({Task.GROUND, Task.POINT, Task.COUNT, Task.SEGMENT})  # may need one
# The most tokens of an answer: a page of small print, and many objects with their places, are long.
_TOKENS = {Task.CHAT: 1024, Task.CAPTION: 512, Task.DESCRIBE_REGION: 512, Task.OCR: 4096}
_MOST_TOKENS = 4096


def checked(find: Find, sheet: Sheet, keys: Sequence[str], question: Question) -> Question:
    """The question as it is asked, with a model. Raises what can be known before anything runs:
    `BadInput`, `NotFound`, `ModelUnavailable`, each with one sentence."""
    pages = pages_of(sheet, keys)
    question = replace(question, model=question.model or opening().model)
    row = find(question.model)
    _check_task(row, question)
    if question.task is Task.DESCRIBE_REGION:
        return replace(question, query=_part(question, pages))
    if question.task is Task.CHAT:
        if not question.query.strip():
            raise BadInput("The question is empty: write what you want to know of the chosen pages.")
        _check_count(row, sheet, len(pages))
    return replace(question, query=writable(question.query).strip(), region=None)


def pages_of(sheet: Sheet, keys: Sequence[str]) -> tuple[Page, ...]:
    """The pages of those keys, in the order of the sheet, each once."""
    chosen = set(keys)
    if not chosen:
        raise BadInput("No page is chosen: choose at least one, then ask.")
    if chosen - {page.key for page in sheet.pages}:
        raise NotFound("A page that was chosen is not on the sheet any more: choose again.")
    return tuple(page for page in sheet.pages if page.key in chosen)


def _check_task(row: Checkpoint, question: Question) -> None:
    """Whether the model can do it, and what it needs to know for it."""
    task = question.task
    if not can(row, task):
        able = ", ".join(sorted(row.tasks))
        raise ModelUnavailable(f"{row.name} cannot do '{task}': it can do {able}.")
    if question.detail:
        detail.check(task)
    if task in _WITH_QUERY and row.family in families.names():
        families.get(row.family).ask(task, question.query)  # says what is missing


def _part(question: Question, pages: Sequence[Page]) -> str:
    """The drawn part in the words in which families are asked for it."""
    if len(pages) != 1:
        raise BadInput(f"A part is described on one page, found {len(pages)}: choose the page it lies on.")
    if question.region is None:
        raise BadInput("There is no part to describe: draw a box on the page first.")
    if question.region.area <= 0.0:
        raise BadInput("The part to describe has no area: draw a box that is wider and higher.")
    return in_words(question.region)


def in_words(box: Box) -> str:
    """'0.1, 0.2, 0.5, 0.6': left, top, right, bottom; four decimals are finer than a pixel."""
    return ", ".join(f"{value:.4f}".rstrip("0").rstrip(".") for value in box.xyxy)


def _check_count(row: Checkpoint, sheet: Sheet, count: int) -> None:
    """Raises `BadInput` when one question is about more pages than the model takes at once."""
    if count > MOST_TOGETHER:
        raise BadInput(
            f"One question is about at most {MOST_TOGETHER} pages together, and {count} are chosen: "
            "choose fewer of them."
        )
    most = most_pages(row, sheet.kind)
    if most is None or count <= most:
        return
    thing = "page" if sheet.kind is Kind.DOCUMENT else "image"
    takes = f"1 {thing}" if most == 1 else f"{most} {thing}s"
    raise BadInput(
        f"{row.name} takes {takes} in one question, and {count} are chosen: choose {most}, or another model."
    )


def most_pages(row: Checkpoint, kind: Kind) -> int | None:
    """How many pages one question to a model may be about; None: any number.

    Of a video's frames the engine leaves out what is too many, and says so.
    """
    if kind is Kind.VIDEO:
        return None
    family = families.get(row.family) if row.family in families.names() else None
    limits = [row.max_images, family.max_images if family else None]
    return min((most for most in limits if most is not None), default=None)


def request_of(
    question: Question, sheet: Sheet, pages: Sequence[Page], pictures: Sequence[Picture]
) -> Request:
    """The request about those pages: all of them for CHAT, else one."""
    parts: tuple[Part, ...] = tuple(pictures)
    if question.task is Task.CHAT:
        parts = (*_introduced(sheet, pages, pictures), question.query)
    return Request(
        turns=(Turn(Role.USER, parts),),
        model=question.model,
        task=question.task,
        query="" if question.task is Task.CHAT else question.query,
        precision=question.precision,
        adapter=question.adapter,
        sampling=Sampling(max_tokens=_TOKENS.get(question.task, _MOST_TOKENS)),
        pixels=question.pixels,
        owner=sheet.owner,
    )


def _introduced(sheet: Sheet, pages: Sequence[Page], pictures: Sequence[Picture]) -> tuple[Part, ...]:
    """Several pages each behind its title, so that the answer can name them; frames as one clip."""
    if len(pages) == 1:
        return tuple(pictures)
    if sheet.kind is Kind.VIDEO:
        return (Clip(tuple(pictures), tuple(page.seconds or 0.0 for page in pages)),)
    return tuple(
        part for page, picture in zip(pages, pictures, strict=True) for part in (f"{page.title}:", picture)
    )
