"""An answer with regions as raw text of a family, checked by reading it again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.families import Family, Parsed, Size
from vlm_app.finetune.asking import Question
from vlm_app.finetune.counting import count_of, without
from vlm_app.finetune.examples import Reply
from vlm_app.finetune.outlines import outline
from vlm_app.grounding import bounds
from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape, Task

PLACING = frozenset({Task.DETECT, Task.GROUND, Task.POINT, Task.COUNT, Task.SEGMENT, Task.OCR_REGIONS})
_COARSEST = 0.001  # of a side: how finely families that write no units do so
_BETWEEN = re.compile(r"[\s,;.]*")


class Replies:
    """Writes the answers to one question."""

    def __init__(self, family: Family, asked: Question, input_size: Size | None) -> None:
        self._family = family
        self._asked = asked
        self._images = [picture.size for picture in asked.pictures]
        self._input_size = input_size

    def raw(self, reply: Reply) -> tuple[str, str]:
        """The raw answer without its end token, and a note on what it leaves out, or ''.

        Raises `BadInput` or `ModelUnavailable` with a sentence where the family cannot write it.
        """
        raw, note = self._placed(reply) if self._asked.task in PLACING else self._prose(reply)
        self._check_end(raw)
        written = self._family.lettered(raw)
        return written, " ".join(filter(None, (note, self._unwritten(raw, written))))

    # --- places ---------------------------------------------------------------------------

    def _placed(self, reply: Reply) -> tuple[str, str]:
        task, query = self._asked.task, self._asked.query
        regions = tuple(self._shaped(one) for one in reply.regions)
        if not regions:
            text = self._plain(reply.text)
            return text or self._family.nothing(task, query), ""
        said = count_of(reply.text, reply.regions) if task is Task.COUNT else len(regions)
        if said != len(regions):
            return self._plain(reply.text), f"It says {said} and places {len(regions)}: the words are taught."
        raw = self._family.write(
            regions, image_size=self._images[-1], input_size=self._input_size, asked=(task, query)
        )
        self._check(raw, regions)
        return raw, ""

    def _shaped(self, region: Region) -> Region:
        """The region with the shape in which the family answers the task."""
        task, shape = self._asked.task, region.shape
        if task in self._family.pointed:
            return replace(region, shape=_centre(shape))
        if isinstance(shape, Point):
            return region
        if task in self._family.outlined:
            if isinstance(shape, Mask) and task is Task.SEGMENT:
                return replace(region, shape=outline(shape, self._images[region.image]))
            if task is Task.SEGMENT or _is_quad(shape):
                return region
        return replace(region, shape=bounds(shape))

    def _check(self, raw: str, regions: Sequence[Region]) -> None:
        """Raises `BadInput` where the family's parser would not read these regions in `raw`."""
        lost = self._lost(self._read(raw), regions)
        if not lost:
            return
        name, last = self._family.title or self._family.name, len(self._images) - 1
        elsewhere = [one for one in lost if one.image != last]
        if elsewhere:
            raise BadInput(
                f"{name} cannot say on which image a region lies: it means the last of {last + 1}, and "
                f"'{elsewhere[0].label}' lies on number {elsewhere[0].image + 1}; leave this example out."
            )
        raise BadInput(
            f"{name} would not read back '{lost[0].label}' as it is written ({lost[0].kind}): "
            "change its label or its shape, or leave this example out."
        )

    def _read(self, raw: str) -> Parsed:
        return self._family.parse(
            raw + self._family.end,
            image_size=self._images[-1],
            input_size=self._input_size,
            asked=(self._asked.task, self._asked.query),
            images=self._images,
        )

    def _lost(self, parsed: Parsed, regions: Sequence[Region]) -> list[Region]:
        """The regions that do not stand in an answer within a unit of the family's grid."""
        found, lost = list(parsed.regions), []
        for region in regions:
            near = [one for one in found if one.image == region.image and self._same(one.shape, region.shape)]
            if near:
                found.remove(near[0])
            else:
                lost.append(region)
        return lost

    def _same(self, found: Shape, truth: Shape) -> bool:
        width, height = self._input_size or self._images[-1]
        grid = self._family.grid
        units = [1.001 / grid if grid else 1.001 * max(1 / side, _COARSEST) for side in (width, height)]
        if isinstance(found, Point) != isinstance(truth, Point):
            return False
        pairs = zip(bounds(found).xyxy, bounds(truth).xyxy, strict=True)
        return all(abs(one - other) <= units[index % 2] for index, (one, other) in enumerate(pairs))

    # --- words ----------------------------------------------------------------------------

    def _prose(self, reply: Reply) -> tuple[str, str]:
        plain = self._plain(reply.text)
        if not plain and self._asked.task is Task.OCR:
            plain = self._plain("\n".join(one.text or one.label for one in reply.regions))
        if not reply.regions or self._asked.part or self._asked.task is Task.OCR:
            return plain, ""
        listed = self._listed(reply)
        if listed is not None:
            return listed, ""
        return self._inline(reply, plain)

    def _listed(self, reply: Reply) -> str | None:
        """An answer that is nothing but the names of its regions, as the family writes regions."""
        if _BETWEEN.fullmatch(without(reply.text, [one.span for one in reply.regions if one.span])) is None:
            return None
        asked = (self._asked.task, self._asked.query)
        regions = [one if isinstance(one.shape, Point) else _boxed(one) for one in reply.regions]
        try:
            raw = self._family.write(
                regions, image_size=self._images[-1], input_size=self._input_size, asked=asked
            )
            self._check(raw, regions)
        except (BadInput, ModelUnavailable):
            return None
        return raw

    def _inline(self, reply: Reply, plain: str) -> tuple[str, str]:
        """Prose with its phrases tied to their places, as far as the family has markup for that."""
        raw, position, tied = "", 0, list[Region]()
        for (start, end), group in _phrases(reply):
            if start < position:
                continue
            before, words = raw + reply.text[position:start], reply.text[start:end]
            position = end
            raw = before + words
            if not self._family.phrases:
                continue
            form = self._grounded(before, words, group)
            if form is not None and self._says(form, reply.text[:end], [*tied, *group]):
                raw, tied = form, [*tied, *group]
        raw = (raw + reply.text[position:]).strip()
        if tied and self._says(raw, reply.text, tied):
            return raw, self._untied(len(reply.regions) - len(tied), len(reply.regions))
        return plain, self._untied(len(reply.regions), len(reply.regions))

    def _grounded(self, before: str, words: str, group: Sequence[Region]) -> str | None:
        try:
            return self._family.grounded(
                before, words, group, image_size=self._images[-1], input_size=self._input_size
            )
        except ModelUnavailable:  # points, to a family that writes boxes
            return None

    def _says(self, raw: str, text: str, regions: Sequence[Region]) -> bool:
        parsed = self._read(raw)
        return parsed.text.split() == text.split() and not self._lost(parsed, regions)

    def _untied(self, count: int, of: int) -> str:
        if not count:
            return ""
        name = self._family.title or self._family.name
        return f"{name} is taught the words alone for {count} of {of} region{'s' * (of != 1)}."

    def _plain(self, text: str) -> str:
        """Words as they stand, without an end token that they bring along."""
        text = text.strip()
        return text.removesuffix(self._family.end).rstrip() if self._family.end else text

    def _unwritten(self, raw: str, written: str) -> str:
        """Which letters the family cannot write, or ''."""
        lost = sorted(set(raw) - set(written))
        name = self._family.title or self._family.name
        return f"{name} has no letters for {' '.join(lost)}, and learns the answer without." if lost else ""

    def _check_end(self, raw: str) -> None:
        """Raises `BadInput` where an answer holds the token that would cut it, in its words or a label."""
        if self._family.open(raw) != raw:
            raise BadInput(
                f"This answer holds '{self._family.end}', with which "
                f"{self._family.title or self._family.name} ends an answer: take it out."
            )


def _phrases(reply: Reply) -> list[tuple[tuple[int, int], list[Region]]]:
    """The phrases of an answer with their regions, in the order of the text."""
    named = [(one.span, _boxed(one)) for one in reply.regions if one.span and one.span[0] < one.span[1]]
    named.sort(key=lambda each: each[0])
    return [(span, [one for _, one in group]) for span, group in groupby(named, key=lambda each: each[0])]


def _boxed(region: Region) -> Region:
    return region if isinstance(region.shape, Point) else replace(region, shape=bounds(region.shape))


def _centre(shape: Shape) -> Point:
    if isinstance(shape, Point):
        return shape
    around: Box = bounds(shape)
    return Point((around.x0 + around.x1) / 2, (around.y0 + around.y1) / 2)


def _is_quad(shape: Shape) -> bool:
    return isinstance(shape, Polygon) and len(shape.points) == 4
