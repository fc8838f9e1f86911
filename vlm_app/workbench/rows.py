"""Between rows of the database and the workbench's dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter

from vlm_app.grounding import region_from_dict, region_to_dict
from vlm_app.store import answer_from_dict, answer_to_dict
from vlm_app.store.tables import FindingRow, SheetRow
from vlm_app.types import Region
from vlm_app.workbench.sheet import Finding, Kind, Mark, Page, Question, Sheet

_QUESTION = TypeAdapter(Question)
VERSION = 1


@dataclass(frozen=True, slots=True)
class Kept:
    """A page of a sheet, and where its picture comes from.

    `file` is the id of the image file that it is, `media` of the image as which it is kept.
    """

    page: Page
    file: str | None = None
    media: str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """What the row of a sheet holds beside its columns. `file` is the document or the video."""

    pages: tuple[Kept, ...] = ()
    file: str | None = None
    seconds: float = 0.0
    size: tuple[int, int] = (0, 0)  # of a video's frames
    note: str = ""

    def page(self, key: str) -> Kept | None:
        return next((kept for kept in self.pages if kept.page.key == key), None)


@dataclass(frozen=True, slots=True)
class Tracked:
    """A mark, and the index of the region of the answer that it was, None for a person's."""

    mark: Mark
    origin: int | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """A finding with what the page does not need: the images of its pages, where marks come from."""

    finding: Finding
    media: tuple[str, ...]
    names: tuple[str, ...]
    tracked: tuple[Tracked, ...] = field(default=())

    def with_tracked(self, tracked: tuple[Tracked, ...]) -> Record:
        marks = tuple(each.mark for each in tracked)
        return replace(self, finding=replace(self.finding, marks=marks), tracked=tracked)


def body_to_dict(body: Body) -> dict[str, Any]:
    pages = [
        {
            "key": kept.page.key,
            "title": kept.page.title,
            "size": list(kept.page.size),
            "number": kept.page.number,
            "seconds": kept.page.seconds,
            "file": kept.file,
            "media": kept.media,
        }
        for kept in body.pages
    ]
    return {
        "version": VERSION,
        "pages": [{name: value for name, value in page.items() if value is not None} for page in pages],
        "file": body.file,
        "seconds": body.seconds,
        "size": list(body.size),
        "note": body.note,
    }


def body_from_dict(data: dict[str, Any]) -> Body:
    return Body(
        pages=tuple(_kept(page) for page in data["pages"]),
        file=data["file"],
        seconds=data["seconds"],
        size=_size(data["size"]),
        note=data["note"],
    )


def _kept(page: dict[str, Any]) -> Kept:
    shown = Page(page["key"], page["title"], _size(page["size"]), page.get("number"), page.get("seconds"))
    return Kept(shown, page.get("file"), page.get("media"))


def _size(value: list[int]) -> tuple[int, int]:
    return (value[0], value[1])


def sheet_of(row: SheetRow) -> Sheet:
    body = body_from_dict(row.body)
    return Sheet(
        id=row.id,
        owner=row.owner,
        name=row.name,
        kind=Kind(row.kind),
        pages=tuple(kept.page for kept in body.pages),
        created=row.created,
        seconds=body.seconds,
        note=body.note,
    )


def record_to_dict(record: Record) -> dict[str, Any]:
    """The body of a finding's row: all that its columns do not hold."""
    finding = record.finding
    return {
        "version": VERSION,
        "pages": list(finding.pages),
        "media": list(record.media),
        "names": list(record.names),
        "question": _QUESTION.dump_python(finding.question, mode="json"),
        "answer": answer_to_dict(finding.answer),
        "marks": [_tracked_to_dict(each) for each in record.tracked],
        "text": finding.text,
        "note": finding.note,
        "corrected": finding.corrected,
    }


def record_of(row: FindingRow) -> Record:
    body = row.body
    tracked = tuple(_tracked_from_dict(each) for each in body["marks"])
    finding = Finding(
        id=row.id,
        owner=row.owner,
        sheet=row.sheet_id,
        pages=tuple(body["pages"]),
        question=_QUESTION.validate_python(body["question"]),
        answer=answer_from_dict(body["answer"]),
        marks=tuple(each.mark for each in tracked),
        text=body["text"],
        created=row.created,
        updated=row.updated,
        beside=row.beside,
        note=body["note"],
        corrected=body["corrected"],
    )
    return Record(finding, tuple(body["media"]), tuple(body["names"]), tracked)


def _tracked_to_dict(tracked: Tracked) -> dict[str, Any]:
    mark = tracked.mark
    return {
        "id": mark.id,
        "region": region_to_dict(mark.region),
        "maker": mark.maker,
        "edited": mark.edited,
        "origin": tracked.origin,
    }


def _tracked_from_dict(data: dict[str, Any]) -> Tracked:
    region: Region = region_from_dict(data["region"])
    return Tracked(Mark(data["id"], region, data["maker"], data["edited"]), data["origin"])
