"""COCO's detection file: pictures, and boxes that name them; captions, too.

The parts may come in any order and be of any size: they wait on disk until they are joined.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vlm_app.finetune.uploads import fields
from vlm_app.finetune.uploads.rows import BadRow, Draft, Mark
from vlm_app.finetune.uploads.spool import Spool
from vlm_app.finetune.uploads.streamed_json import JsonStream
from vlm_app.types import Task

_MOST_CATEGORIES = 100_000
_LATER = 1 << 40  # added to the number of an annotation, so that pictures keep their order
_KEPT = ("bbox", "category_id", "iscrowd", "caption")


class Coco:
    """A COCO file as a table: its rows are its pictures, in the order of the file."""

    title = "COCO detection"
    boxed = True
    pixels = True

    def __init__(self, path: Path, spool: Spool) -> None:
        self._spool = spool
        self._names: dict[str, str] = {}
        self._bad: list[tuple[int, str]] = []
        self._annotations = 0
        with path.open("rb") as file:
            try:
                self._read(JsonStream(file))
            except BadRow as error:
                self._bad.append((0, f"{error}; nothing after it can be read"))
        spool.close_writing()

    def drafts(self) -> Iterator[tuple[int, Draft | str]]:
        yield from self._bad
        if not self._annotations:
            yield 0, "it has no annotations"
            return
        for group in self._spool.groups():
            number = group[0][0]
            try:
                drafts = list(self._of(group))
            except BadRow as error:
                yield (number if number < _LATER else 0), str(error)
            else:
                yield from ((number, draft) for draft in drafts)

    def _read(self, stream: JsonStream) -> None:
        if stream.peek() != "{":
            raise BadRow("it is no object")
        for key in stream.members():
            if key not in ("images", "annotations", "categories") or stream.peek() != "[":
                stream.skip()
                continue
            for number, one in enumerate(stream.elements(), start=1):
                if isinstance(one, dict):
                    self._keep(key, number, one)
                else:
                    self._bad.append((0, f"entry {number:,} of '{key}' is no object"))

    def _keep(self, key: str, number: int, one: dict[str, Any]) -> None:
        if key == "images":
            self._spool.add(number, _id(one.get("id")), {"picture": one})
        elif key == "annotations":
            self._annotations += 1
            self._spool.add(
                number + _LATER, _id(one.get("image_id")), {name: one[name] for name in _KEPT if name in one}
            )
        elif len(self._names) < _MOST_CATEGORIES:
            self._names[_id(one.get("id"))] = str(one.get("name", "")).strip()

    def _of(self, group: list[tuple[int, Any]]) -> Iterator[Draft]:
        """The drafts of one picture, whose rows these are: itself, and its annotations."""
        pictures = [row["picture"] for _, row in group if "picture" in row]
        rows = [(number - _LATER, row) for number, row in group if "picture" not in row]
        if not pictures:
            raise BadRow(
                f"{len(rows):,} annotations, from the {rows[0][0]:,}. on, name an image that is not there"
            )
        if len(pictures) > 1:
            raise BadRow(f"{len(pictures):,} images have the same id")
        name, size = fields.words(pictures[0].get("file_name"), "'file_name'"), _size(pictures[0])
        captions = [row["caption"] for _, row in rows if "caption" in row]
        for caption in captions:
            yield Draft((name,), Task.CAPTION, text=fields.words(caption, "caption").strip())
        if not captions:
            crowds = sum(bool(row.get("iscrowd")) for _, row in rows)
            note = f"left out: {crowds} box{'es' * (crowds != 1)} around a crowd" if crowds else ""
            marks = [self._mark(number, row) for number, row in rows if not row.get("iscrowd")]
            yield Draft((name,), Task.DETECT, marks=tuple(marks), size=size, note=note)

    def _mark(self, number: int, row: dict[str, Any]) -> Mark:
        label = self._names.get(_id(row.get("category_id")), "")
        if not label:
            raise BadRow(f"annotation {number:,} names a category that is not there")
        try:
            return Mark(label, fields.corners(row.get("bbox"), sized=True))
        except BadRow as error:
            raise BadRow(f"annotation {number:,}: {error}") from error


def _id(value: Any) -> str:
    return f"{type(value).__name__} {value}"[:200]


def _size(picture: dict[str, Any]) -> tuple[int, int] | None:
    """The width and height that the file gives, which it may leave out."""
    sides = picture.get("width"), picture.get("height")
    if any(isinstance(side, bool) or not isinstance(side, int) or not 0 < side < 1 << 20 for side in sides):
        return None
    return (int(sides[0] or 0), int(sides[1] or 0))
