"""A part of an image, described by models that know no other way: as a caption of the part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from PIL import Image

from vlm_app.errors import BadInput
from vlm_app.families.reading import asked_box
from vlm_app.grounding.views import placed
from vlm_app.media import picture_from
from vlm_app.types import Answer, Box, Checkpoint, Delta, Picture, Region, Request, Role, Task, Turn

MARGIN = 0.1  # of the part's width and height, on each side: what a thing is shows by what is around it
_GROUND = 3  # sides of the part: Pebble names a shape in 20 of 20 such pictures, in 8 without a ground
_LARGEST = 1024  # pixels of a part's longer side on a ground: models that need one see less
NOTE = "It was shown the part alone, with a margin of 10 %, and asked to describe that."
LABEL = "part"


def can(row: Checkpoint, task: Task) -> bool:
    """Whether a model can be asked for a task: one that it knows, or a part to describe by a caption."""
    return task in row.tasks or by_caption(row, task)


def by_caption(row: Checkpoint, task: Task) -> bool:
    """Whether a task is done by describing the cut out part."""
    return task is Task.DESCRIBE_REGION and task not in row.tasks and Task.CAPTION in row.tasks


@dataclass(frozen=True)
class Cropped:
    """A question about a part of an image, and the request that asks for a caption of that part."""

    asked: Request
    request: Request
    part: Box
    view: Box | None  # what the model is shown, in fractions of the image; None on a ground of its own

    @classmethod
    def of(cls, asked: Request, closeups: bool = True) -> Cropped:
        """`closeups` says whether the model knows things that fill the image.

        Raises `BadInput` when there is no image, or the question names no part of it."""
        if not asked.pictures:
            raise BadInput("A part is described of an image, and there is none: add an image.")
        turn = next(turn for turn in reversed(asked.turns) if turn.pictures)
        picture = turn.pictures[-1]
        last = [turn for turn in asked.turns if turn.role is Role.USER][-1:]
        part = asked_box(asked.query or (last[0].text if last else ""))
        left, top, right, bottom = _pixels(part, picture)
        width, height = picture.size
        crop = picture.pixels.crop((left, top, right, bottom))
        view = Box(left / width, top / height, right / width, bottom / height) if closeups else None
        crop = crop if closeups else _on_ground(crop)
        turns = (
            Turn(Role.USER, (picture_from(crop),)),
            *(turn for turn in asked.turns[-1:] if turn.role is Role.ASSISTANT),
        )
        return cls(asked, replace(asked, turns=turns, task=Task.CAPTION, query=""), part, view)

    def deltas(self, deltas: Iterator[Delta]) -> Iterator[Delta]:
        """The caption as it comes, as an answer about the part: that is what is drawn first."""
        begun = False
        for delta in deltas:
            told = self._placed(delta.regions)
            if not begun and (delta.text or delta.regions or delta.answer):
                begun, told = True, (self._region(), *told)
            yield Delta(delta.text, told, self._answer(delta.answer) if delta.answer else None)

    def _answer(self, caption: Answer) -> Answer:
        seen = replace(caption.seen, note=f"{caption.seen.note} {NOTE}".strip())
        regions = (self._region(), *self._placed(caption.regions))
        return replace(caption, task=Task.DESCRIBE_REGION, regions=regions, seen=seen)

    def _region(self) -> Region:
        return Region(LABEL, self.part, len(self.asked.pictures) - 1)

    def _placed(self, regions: tuple[Region, ...]) -> tuple[Region, ...]:
        """What a caption points at lies in the part; the request has the one image."""
        last, view = len(self.asked.pictures) - 1, self.view
        if view is None:
            return ()
        return tuple(replace(one, shape=placed(one.shape, view), image=last) for one in regions)


def _on_ground(crop: Image.Image) -> Image.Image:
    """The part in the middle of a plain ground in the colour of its border, three times as large.

    A large part is made smaller first: the ground has nine times its pixels.
    """
    crop.thumbnail((_LARGEST, _LARGEST))
    width, height = crop.size
    side = _GROUND * max(width, height)
    border = [crop.crop(edge).resize((1, 1)) for edge in ((0, 0, width, 1), (0, height - 1, width, height))]
    ground = Image.blend(border[0], border[1], 0.5).resize((side, side))
    ground.paste(crop, ((side - width) // 2, (side - height) // 2))
    return ground


def _pixels(part: Box, picture: Picture) -> tuple[int, int, int, int]:
    """The part with its margin, kept in the image, in whole pixels; at least one of them."""
    width, height = picture.size
    across, down = MARGIN * (part.x1 - part.x0), MARGIN * (part.y1 - part.y0)
    left, top = int(max(part.x0 - across, 0) * width), int(max(part.y0 - down, 0) * height)
    left, top = min(left, width - 1), min(top, height - 1)
    right = round(min(part.x1 + across, 1) * width)
    bottom = round(min(part.y1 + down, 1) * height)
    return left, top, max(right, left + 1), max(bottom, top + 1)
