"""ms-swift's boxes: `<ref-object>` and `<bbox>` in a chat stand for the entries of `objects`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vlm_app.finetune.uploads import fields
from vlm_app.finetune.uploads.fields import Record
from vlm_app.finetune.uploads.rows import BadRow, Draft, Mark
from vlm_app.finetune.uploads.spaces import Space
from vlm_app.types import Task

_REF, _BOX = "<ref-object>", "<bbox>"
_TOKEN = re.compile(f"({_REF}|{_BOX})")
_PURE = re.compile(r"[\s,;.:\[\]()-]*")  # what stands between the boxes of an answer that is nothing else


def with_boxes(draft: Draft, value: Any, earlier: str) -> Draft:
    """The draft with its boxes; `earlier` is what was said before, whose entries come first."""
    row = fields.record(value, "'objects'")
    refs = [fields.words(one, "name") for one in fields.entries(row.get("ref", []), "'ref'")]
    boxes = [fields.corners(one) for one in fields.entries(row.get("bbox", []), "'bbox'")]
    said = earlier + draft.query + (draft.text or "")
    if said.count(_REF) != len(refs) or said.count(_BOX) != len(boxes):
        raise BadRow(
            f"'objects' has {len(refs)} names and {len(boxes)} boxes, found {said.count(_REF)} {_REF} "
            f"and {said.count(_BOX)} {_BOX}"
        )
    if _BOX in draft.query:
        raise BadRow("its question has a box, where boxes are taken in answers")
    names, places = iter(refs[earlier.count(_REF) :]), iter(boxes[earlier.count(_BOX) :])
    asked = [next(names) for _ in range(draft.query.count(_REF))]
    query = _filled(draft.query, iter(asked))
    text, marks = _answer(draft.text or "", names, places, asked)
    marks = _on(marks, row, len(draft.pictures))
    draft = replace(draft, marks=tuple(marks), space=_space(row))
    if not marks or not _PURE.fullmatch(_TOKEN.sub("", draft.text or "")):
        return replace(draft, query=query, text=text)
    if asked or not refs:
        return replace(draft, task=Task.GROUND, query=", ".join(asked) or query, text=None)
    return replace(draft, task=Task.DETECT, query=", ".join(dict.fromkeys(refs)), text=None)


def _filled(text: str, names: Iterator[str]) -> str:
    return re.sub(_REF, lambda _: next(names), text)


def _answer(
    text: str, names: Iterator[str], places: Iterator[Any], asked: list[str]
) -> tuple[str, list[Mark]]:
    """The words of an answer, and its boxes: each is of the name before it, or of what was asked for."""
    written, label, marks = "", "", list[Mark]()
    for part in _TOKEN.split(text):
        if part == _REF:
            label = next(names)
            written += label
        elif part == _BOX:
            owner = asked[min(len(marks), len(asked) - 1)] if asked else "object"
            marks.append(Mark(label or owner, next(places)))
        else:
            written += part
    return re.sub(r" {2,}", " ", written).strip(), marks


def _on(marks: list[Mark], row: Record, pictures: int) -> list[Mark]:
    """The marks on the pictures that `image_id` says; by default all on the first."""
    ids = row.get("image_id") or [0] * len(marks)
    if len(fields.entries(ids, "'image_id'")) < len(marks):
        raise BadRow("'image_id' names a picture for each box")
    on = [int(fields.number(one)) for one in ids[: len(marks)]]
    if any(not 0 <= one < pictures for one in on):
        raise BadRow("'image_id' names a picture that is not there")
    return [replace(mark, image=image) for mark, image in zip(marks, on, strict=True)]


def _space(row: Record) -> Space | None:
    kind = row.get("bbox_type")
    known = {None: None, "real": Space.PIXELS, "norm1": Space.FRACTIONS}
    if kind not in known:
        raise BadRow(f"'bbox_type' is real or norm1, found {str(kind)[:40]!r}")
    return known[kind]
