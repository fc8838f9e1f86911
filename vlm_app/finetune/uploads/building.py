"""From a draft to an example: pictures opened, boxes as fractions, everything checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from vlm_app.errors import BadInput
from vlm_app.families.reading import Reader
from vlm_app.finetune.examples import Example, Reply, Source, example_from_dict
from vlm_app.finetune.uploads.columns import LOOKING
from vlm_app.finetune.uploads.opening import Opener
from vlm_app.finetune.uploads.rows import LONGEST_TEXT, MOST_REGIONS, BadRow, Draft, Mark
from vlm_app.finetune.uploads.spaces import Corners, Size, Space, fractions
from vlm_app.types import Box, Picture, Region, Task

MOST_PICTURES = 16  # of one example
_OVER = 0.005  # of a side, or a pixel: so far a box may reach over the edge, where it is cut off


def built(draft: Draft, space: Space, opener: Opener, table: Path) -> Example:
    """The example. Raises `BadRow` with what is wrong."""
    _check_words(draft)
    if not draft.pictures:
        raise BadRow("it has no picture")
    if len(draft.pictures) > MOST_PICTURES:
        raise BadRow(f"it has {len(draft.pictures)} pictures, where at most {MOST_PICTURES} are taken")
    pictures = tuple(opener.open(name, table) for name in draft.pictures)
    try:
        if draft.own is not None:
            return example_from_dict(draft.own, pictures)
        return _example(draft, draft.space or space, pictures)
    except BadInput as error:
        raise BadRow(error.sentence.rstrip(".")) from error
    except ValueError as error:
        raise BadRow(_in_a_line(error)) from error


def _example(draft: Draft, space: Space, pictures: tuple[Picture, ...]) -> Example:
    text, regions = _answer(draft, space, pictures)
    return Example(
        pictures=pictures,
        task=draft.task,
        query=draft.query,
        text=text,
        regions=regions,
        source=Source.UPLOAD,
        rejected=None if draft.rejected is None else Reply(draft.rejected),
        note=draft.note,
    )


def _check_words(draft: Draft) -> None:
    for words, what in (
        (draft.query, "question"),
        (draft.text or "", "answer"),
        (draft.rejected or "", "answer"),
    ):
        if len(words) > LONGEST_TEXT:
            raise BadRow(
                f"its {what} has {len(words):,} characters, where at most {LONGEST_TEXT:,} are taken"
            )
    if draft.own is not None:
        return
    if draft.task is Task.CHAT and not draft.query.strip():
        raise BadRow("its question is empty")
    if draft.task in LOOKING and not draft.marks and (draft.text or "").strip():
        raise BadRow(f"its answer has no boxes, which the task {draft.task} needs")
    nothing_found = draft.task in LOOKING and not draft.marks
    if not (draft.text or "").strip() and not draft.marks and not nothing_found:
        raise BadRow("its answer is empty")
    if draft.task is Task.POINT:
        raise BadRow("points are not taken: ask for boxes, with the task detect")


# --- answers with boxes -------------------------------------------------------------------


def _answer(draft: Draft, space: Space, pictures: Sequence[Picture]) -> tuple[str, tuple[Region, ...]]:
    if len(draft.marks) > MOST_REGIONS:
        raise BadRow(f"it has {len(draft.marks):,} boxes, where at most {MOST_REGIONS:,} are taken")
    boxes = [_box(mark, draft, space, pictures[mark.image].size) for mark in draft.marks]
    if draft.text is not None and draft.task not in LOOKING:
        return draft.text, _in_text(draft, boxes)
    reader = Reader()
    for mark, box in zip(draft.marks, boxes, strict=True):
        read = mark.label if draft.task is Task.OCR_REGIONS else None
        reader.thing(mark.label, box, read=read, image=mark.image)
    parsed = reader.parsed()
    return parsed.text, parsed.regions


def _in_text(draft: Draft, boxes: Sequence[Box]) -> tuple[Region, ...]:
    """Boxes beside an answer in words: each belongs to the next phrase that is called like it."""
    text, place, regions = draft.text or "", 0, list[Region]()
    for mark, box in zip(draft.marks, boxes, strict=True):
        start = text.find(mark.label, place)
        span = None if start < 0 else (start, start + len(mark.label))
        place = place if span is None else span[1]
        regions.append(Region(mark.label, box, mark.image, span=span))
    return tuple(regions)


def _box(mark: Mark, draft: Draft, space: Space, size: Size) -> Box:
    """The box on the picture. Raises `BadRow` where it is none, or lies outside."""
    if draft.size is not None and space is Space.PIXELS:
        _check_size(draft.size, size)
    place = fractions(mark.box, space, draft.size or size)
    called = f"the box of “{mark.label[:40]}” ({', '.join(f'{value:.6g}' for value in mark.box)})"
    if place[2] <= place[0] or place[3] <= place[1]:
        raise BadRow(f"{called} has no area: expected left, top, right and bottom")
    over = [max(_OVER, 1.0 / side) for side in (*size, *size)]
    if any(not -more <= value <= 1 + more for value, more in zip(place, over, strict=True)):
        whole = f"{size[0]} × {size[1]} pixels"
        raise BadRow(f"{called}, read as {space}, reaches beyond its picture of {whole}")
    x0, y0, x1, y1 = (min(max(value, 0.0), 1.0) for value in place)
    return Box(x0, y0, x1, y1)


def _check_size(told: Size, found: Size) -> None:
    """The file's size may be that before the picture was resized, not that of a turned or cropped one."""
    if abs(told[0] * found[1] - told[1] * found[0]) <= 0.02 * told[0] * found[1]:
        return
    turned = "; it is turned by its EXIF data: turn the boxes, too" if told == found[::-1] else ""
    raise BadRow(
        f"its picture is {found[0]} × {found[1]} pixels, where the file says {told[0]} × {told[1]}{turned}"
    )


def _in_a_line(error: ValueError) -> str:
    return re.sub(r"\s+", " ", str(error))[:300].rstrip(". ")


def corners_of(draft: Draft) -> list[Corners]:
    """The boxes of a draft whose units are not known."""
    return [] if draft.space is not None or draft.own is not None else [mark.box for mark in draft.marks]
