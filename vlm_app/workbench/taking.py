"""Findings that come from a chat, and results that leave for a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial

from PIL.Image import Image

from vlm_app.errors import BadInput
from vlm_app.grounding.formats import Result
from vlm_app.grounding.formats.result import Source, unique
from vlm_app.store import new_id
from vlm_app.types import Answer, Picture, Region, Task
from vlm_app.workbench.answering import name_of
from vlm_app.workbench.asking import pages_of
from vlm_app.workbench.growing import Marking
from vlm_app.workbench.opening import cleaned
from vlm_app.workbench.pages import Pages
from vlm_app.workbench.rows import Body, Record, Tracked
from vlm_app.workbench.sheet import Finding, Kind, Page, Question
from vlm_app.workbench.sheets import Opened, Sheets


def take(
    sheets: Sheets, owner: str, pictures: Sequence[tuple[Picture, str]], answer: Answer, question: Question
) -> Finding:
    """A sheet of the pictures, and the answer on it. Regions on images that are not there are left out."""
    if not pictures:
        raise BadInput("This answer is about no image: open one that is about an image.")
    pictures = [(picture, cleaned(name)) for picture, name in pictures]
    pages = [
        Opened(Page(f"i{place}", name, picture.size), picture=picture)
        for place, (picture, name) in enumerate(pictures)
    ]
    first = pictures[0][1]
    name = first if len(pictures) == 1 else f"{first} and {len(pictures) - 1} more"
    sheet = sheets.add(owner, name, Kind.IMAGES, pages, Body())
    media = tuple(kept.media or "" for kept in sheets.body(owner, sheet.id).pages)
    answer = replace(answer, regions=tuple(each for each in answer.regions if each.image < len(pages)))
    id, now = new_id(), datetime.now(UTC)
    marks = Marking(id[-12:], answer.model or question.model).marks(answer.regions)
    finding = Finding(
        id=id,
        owner=owner,
        sheet=sheet.id,
        pages=tuple(page.key for page in sheet.pages),
        question=question,
        answer=answer,
        marks=marks,
        text=answer.text,
        created=now,
        updated=now,
        note=answer.seen.note,
    )
    names = tuple(page.title for page in sheet.pages)
    tracked = tuple(Tracked(mark, place) for place, mark in enumerate(marks))
    return sheets.add_finding(Record(finding, media, names, tracked))


def begin(
    sheets: Sheets, pages: Pages, owner: str, sheet_id: str, keys: Sequence[str], question: Question
) -> Finding:
    """An empty finding of a person's own about pages of a sheet, to be filled by `edited`."""
    sheet = sheets.sheet(owner, sheet_id)
    body = sheets.body(owner, sheet_id)
    chosen = pages_of(sheet, keys)
    media = []
    for page in chosen:
        kept = body.page(page.key)
        held = kept.media if kept else None
        media.append(held or sheets.hold(owner, sheet_id, page.key, pages.picture(owner, sheet_id, page.key)))
    now = datetime.now(UTC)
    keys, answer = tuple(page.key for page in chosen), Answer("", task=question.task)
    finding = Finding(new_id(), owner, sheet_id, keys, question, answer, (), "", now, now)
    names = tuple(name_of(sheet, page) for page in chosen)
    return sheets.add_finding(Record(finding, tuple(media), names))


def result_of(sheets: Sheets, pages: Pages, record: Record) -> Result:
    """A finding as it is now, with the images of its pages.

    They are those that were asked about, also where the cache has gone since. A described part
    is a region of its own, with what was said of it as its label.
    """
    finding = record.finding

    def picture(place: int) -> Picture:
        if media := record.media[place]:
            return sheets.store.picture(finding.owner, media)
        return pages.picture(finding.owner, finding.sheet, finding.pages[place])

    @lru_cache(maxsize=1)  # regions are cut out one after the other, mostly of the same page
    def pixels(place: int) -> Image:
        return picture(place).pixels

    images = [
        Source(name, picture(place).size, load=partial(pixels, place))
        for place, name in enumerate(unique(record.names))
    ]
    regions, question = finding.regions, finding.question
    if not regions and question.task is Task.DESCRIBE_REGION and question.region is not None:
        regions = (Region(finding.text or "part", question.region),)
    asked = (finding.answer.model, str(question.task), question.query)
    return Result(tuple(images), regions, finding.text, *asked)
