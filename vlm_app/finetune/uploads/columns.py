"""Rows of columns: Roboflow's JSONL, tables, the metadata of an image folder, this app's own examples."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from vlm_app.finetune.uploads import fields
from vlm_app.finetune.uploads.fields import Record
from vlm_app.finetune.uploads.rows import BadRow, Draft, Mark
from vlm_app.finetune.uploads.spaces import Space
from vlm_app.types import Task

ASKING = ("query", "question", "prompt", "instruction")
ANSWERING = ("answer", "answers", "response", "output", "completion")
TELLING = ("text", "caption")
LABELS = ("label", "labels", "category", "categories", "ref", "class", "name")
BOXES = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"), ("x1", "y1", "x2", "y2"))
SIZED = ("x", "y", "width", "height")
LOOKING = frozenset({Task.DETECT, Task.GROUND, Task.SEGMENT, Task.OCR_REGIONS})  # tasks that boxes answer
_LOCATIONS = re.compile(r"(?:<loc\d{4}>){4}")
_LOCATION = "<loc"


def roboflow(row: Record) -> Iterator[Draft]:
    """A row with `image`, `prefix` and `suffix`; `detect …` with `<loc…>` is read as PaliGemma writes it."""
    prefix, suffix = (fields.words(row[key], f"'{key}'").strip() for key in ("prefix", "suffix"))
    task, _, rest = prefix.partition(" ")
    pictures = fields.pictures(row)
    if _LOCATION in suffix or (task == "detect" and rest):
        yield _located(pictures, rest if task in ("detect", "segment") else prefix, suffix)
    elif task == "caption":
        yield Draft(pictures, Task.CAPTION, text=suffix)
    elif prefix == "ocr":
        yield Draft(pictures, Task.OCR, text=suffix)
    else:
        question = re.sub(r"^(answer|question) [a-z]{2} ", "", prefix)
        yield Draft(pictures, Task.CHAT, question, suffix)


def _located(pictures: tuple[str, ...], query: str, suffix: str) -> Draft:
    from vlm_app import families

    query = ", ".join(part for part in re.split(r"\s*[;,]\s*", query.strip()) if part)
    written = re.sub(r"(?:<seg\d{3}>)+", "", suffix)
    found = families.get("paligemma").parse(
        f"{written}<eos>", image_size=(1024, 1024), asked=(Task.DETECT, query)
    )
    count = len(_LOCATIONS.findall(suffix))
    if suffix and (not count or len(found.regions) != count or _LOCATION in _LOCATIONS.sub("", suffix)):
        raise BadRow(
            "its suffix has boxes that cannot be read: each is four <loc0000> to <loc1023> and a name"
        )
    marks = [Mark(one.label, one.shape.xyxy) for one in found.regions if hasattr(one.shape, "xyxy")]
    note = "its masks were left out" if written != suffix else ""
    return Draft(pictures, Task.DETECT, query, marks=tuple(marks), space=Space.FRACTIONS, note=note)


def own(row: Record) -> Iterator[Draft]:
    """An example as this app writes it; `pictures` are names of files."""
    names = tuple(fields.picture(one) for one in fields.entries(row["pictures"], "'pictures'"))
    yield Draft(names, _task(row["task"]), own=row)


def plain(row: Record) -> Iterator[Draft]:
    """A row with a picture and a question with its answer, a text, or `objects` with boxes."""
    pictures, query = fields.pictures(row), fields.words(fields.first(row, ASKING), "question").strip()
    answer = _answer(fields.first(row, ANSWERING))
    task = _task(row["task"]) if row.get("task") else None
    if row.get("objects") is not None:
        marks, space = _objects(row["objects"])
        yield Draft(pictures, task or Task.DETECT, query, answer or None, marks, space)
    elif answer or query or task:
        yield Draft(pictures, task or (Task.CHAT if query else Task.CAPTION), query, answer)
    else:
        yield Draft(pictures, Task.CAPTION, text=fields.words(fields.first(row, TELLING), "text").strip())


def boxed(rows: Sequence[Record]) -> Draft:
    """The rows of one picture and question, each with a label and a box; one without both says nothing."""
    row = rows[0]
    task = _task(row["task"]) if row.get("task") else Task.DETECT
    query = fields.words(fields.first(row, ASKING), "question").strip()
    answer = _answer(fields.first(row, ANSWERING))
    marks = [mark for one in rows if (mark := _mark(one, query)) is not None]
    text = answer or None if marks or task in LOOKING else answer
    return Draft(fields.pictures(row), task, query, text, tuple(marks))


def box_keys(row: Record) -> tuple[str, ...] | None:
    """The four columns of a box that a table has."""
    return next((keys for keys in (*BOXES, SIZED) if all(key in row for key in keys)), None)


def is_boxed(row: Record) -> bool:
    """Whether a row has one box in columns of its own."""
    return box_keys(row) is not None and any(key in row for key in fields.PICTURES)


def group_of(row: Record) -> list[Any]:
    """What rows of one example have in common."""
    return [fields.first(row, (key,)) for key in (*fields.PICTURES, "task", *ASKING)]


def _mark(row: Record, query: str) -> Mark | None:
    keys = box_keys(row) or BOXES[0]
    values = [row.get(key) for key in keys]
    label = fields.words(fields.first(row, LABELS), "label").strip()
    if all(value in (None, "") for value in values):
        if label:
            raise BadRow("it has a label without a box")
        return None
    if any(value in (None, "") for value in values):
        raise BadRow("a box has four numbers")
    return Mark(label or query or "object", fields.corners(values, sized=keys is SIZED))


def _objects(value: Any) -> tuple[tuple[Mark, ...], Space | None]:
    """`objects` of an image folder: lists of boxes and names, or a list of objects of one each.

    With `ref` a box is its corners, as ms-swift has it, else left, top, width and height.
    """
    if isinstance(value, list):
        rows = [fields.record(one, "object") for one in value]
        return tuple(
            _object(one.get("bbox"), fields.first(one, LABELS), "ref" not in one) for one in rows
        ), None
    row = fields.record(value, "'objects'")
    boxes = fields.entries(row.get("bbox", row.get("boxes")), "list of boxes")
    names = fields.entries(fields.first(row, LABELS) or ["object"] * len(boxes), "list of names")
    if len(names) != len(boxes):
        raise BadRow(f"it has {len(boxes)} boxes and {len(names)} names for them")
    marks = [_object(box, name, "ref" not in row) for box, name in zip(boxes, names, strict=True)]
    return tuple(marks), Space.FRACTIONS if row.get("bbox_type") == "norm1" else None


def _object(box: Any, name: Any, sized: bool) -> Mark:
    return Mark(fields.words(name, "name").strip() or "object", fields.corners(box, sized))


def _answer(value: Any) -> str:
    """An answer; of several right ones the first."""
    if isinstance(value, list):
        value = value[0] if value else ""
    return fields.words(value, "answer").strip()


def _task(value: Any) -> Task:
    try:
        return Task(str(value).strip().casefold())
    except ValueError:
        raise BadRow(f"its task is one of {', '.join(Task)}, found {str(value)[:40]!r}") from None


def is_plain(row: Record) -> bool:
    """Whether a row has a picture, and something that belongs to it."""
    return any(key in row for key in fields.PICTURES) and any(
        key in row for key in (*ASKING, *ANSWERING, *TELLING, "objects", "task")
    )
