"""What a person changes of a finding: whose each region is stays known, phrases stay linked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlm_app.errors import BadInput
from vlm_app.grounding.moved import Moved
from vlm_app.store import new_id, writable
from vlm_app.types import PERSON, Box, Mask, Point, Polygon, Region, Shape
from vlm_app.workbench.rows import Record, Tracked
from vlm_app.workbench.sheet import Mark

MOST_MARKS = 20_000
MOST_TEXT = 1_000_000  # characters
SAME = 1e-5  # of a side: a fraction of a pixel, lost on the way to the page and back
_MOST_COMPARED = 250_000  # pairs of regions, while the database waits; people draw fewer


def edited(record: Record, marks: Sequence[Mark] | None, text: str | None) -> Record:
    """The finding as a person left it. Raises `BadInput` for what cannot be kept."""
    before = record.finding
    tracked = record.tracked if marks is None else _tracked(record, marks)
    if text is None:
        text = before.text if marks is None else _followed(before.text, record.tracked, tracked)
    text = writable(text)
    if len(text) > MOST_TEXT:
        raise BadInput(f"A text has at most {MOST_TEXT:,} characters, found {len(text):,}: shorten it.")
    tracked = _linked(record, tracked, text)
    changed = replace(record, finding=replace(before, text=text)).with_tracked(tracked)
    return replace(changed, finding=replace(changed.finding, corrected=_is_corrected(changed)))


def _is_corrected(record: Record) -> bool:
    """Whether anything differs from what the model said: what was undone does not."""
    finding = record.finding
    untouched = [each.origin for each in record.tracked if each.origin is not None and not each.mark.edited]
    whole = untouched == list(range(len(finding.answer.regions))) and len(untouched) == len(record.tracked)
    return finding.text != finding.answer.text or not whole


# --- marks --------------------------------------------------------------------------------


def _tracked(record: Record, marks: Sequence[Mark]) -> tuple[Tracked, ...]:
    """The marks with their makers; a mark that the finding does not have is the person's."""
    if len(marks) > MOST_MARKS:
        raise BadInput(f"A finding has at most {MOST_MARKS:,} regions, found {len(marks):,}: delete some.")
    known = {each.mark.id: each for each in record.tracked}
    given = {mark.id for mark in marks}
    if len(given) < len(marks):
        raise BadInput("Two regions have the same id: reload the page, and make your change again.")
    # A new mark that comes again, before the page knows its id, is the one that was kept.
    own = [each for each in record.tracked if each.mark.maker == PERSON and each.mark.id not in given]
    spare = {each.mark.id: each for each in own if len(own) * len(given - known.keys()) <= _MOST_COMPARED}
    found = []
    for mark in marks:
        _check_page(record, mark)
        same = known.get(mark.id) or next(
            (one for one in spare.values() if _alike(one.mark.region, mark.region)), None
        )
        if same is not None:
            spare.pop(same.mark.id, None)
        found.append(_new(mark) if same is None else _changed(record, same, mark.region))
    return tuple(found)


def _check_page(record: Record, mark: Mark) -> None:
    pages = len(record.finding.pages)
    if mark.region.image >= pages:
        raise BadInput(
            f"A region lies on one of the {pages} pages of its finding, found page {mark.region.image + 1}: "
            "draw it on one of these."
        )


def _new(mark: Mark) -> Tracked:
    region = replace(_written(mark.region), span=None)
    return Tracked(Mark(new_id(), region, PERSON), None)


def _changed(record: Record, tracked: Tracked, region: Region) -> Tracked:
    """The same mark with another region; one that is as the model made it is not edited."""
    kept = tracked.mark.region
    if not _alike(kept, region):
        kept = replace(kept, label=region.label, shape=region.shape, text=region.text, image=region.image)
        kept = _written(kept)
    if tracked.origin is None:
        return replace(tracked, mark=replace(tracked.mark, region=kept))
    original = record.finding.answer.regions[tracked.origin]
    touched = not _alike(original, kept)
    kept = kept if touched else replace(original, span=kept.span)
    return replace(tracked, mark=replace(tracked.mark, region=kept, edited=touched))


def _written(region: Region) -> Region:
    return replace(
        region, label=writable(region.label), text=None if region.text is None else writable(region.text)
    )


def _alike(one: Region, other: Region) -> bool:
    """Whether nothing that counts differs: spans and scores are kept up here, not by the page."""
    return (
        (one.label, one.text, one.image, one.kind) == (other.label, other.text, other.image, other.kind)
        and _bits(one.shape) == _bits(other.shape)
        and len(_numbers(one.shape)) == len(_numbers(other.shape))
        and all(abs(a - b) <= SAME for a, b in zip(_numbers(one.shape), _numbers(other.shape), strict=True))
    )


def _bits(shape: Shape) -> object:
    return (shape.size, shape.bits) if isinstance(shape, Mask) else None


def _numbers(shape: Shape) -> tuple[float, ...]:
    match shape:
        case Box():
            return shape.xyxy
        case Point():
            return (shape.x, shape.y)
        case Polygon():
            return tuple(value for point in shape.points for value in (point.x, point.y))
        case Mask():
            return shape.box.xyxy


# --- text ---------------------------------------------------------------------------------


def _followed(text: str, before: Sequence[Tracked], after: Sequence[Tracked]) -> str:
    """The text with the corrections of its located lines, where a line stands in it as it was read."""
    old = {each.mark.id: each.mark.region for each in before}
    corrections = []
    for each in after:
        was, now = old.get(each.mark.id), each.mark.region
        if was is None or was.span is None or was.text is None or now.text is None:
            continue
        if was.text != now.text and text[slice(*was.span)] == was.text:
            corrections.append((was.span, now.text))
    for (start, end), words in sorted(corrections, reverse=True):
        text = text[:start] + words + text[end:]
    return text


def _linked(record: Record, tracked: Sequence[Tracked], text: str) -> tuple[Tracked, ...]:
    """The marks with the places of their phrases in the text as it is now.

    They are found from the answer's own text, so that what is undone is linked again.
    """
    answer = record.finding.answer
    moved = Moved(answer.text, text)
    linked = []
    for each in tracked:
        span = None if each.origin is None else moved.span(answer.regions[each.origin].span)
        region = each.mark.region
        if region.span != span:
            each = replace(each, mark=replace(each.mark, region=replace(region, span=span)))
        linked.append(each)
    return tuple(linked)
