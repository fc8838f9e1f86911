"""Putting questions to a model about drawn pictures whose truth is known, and scoring the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vlm_app.types import (
    Answer,
    Box,
    Checkpoint,
    Picture,
    Point,
    Region,
    Request,
    Role,
    Sampling,
    Shape,
    Task,
    Turn,
)

HIT = 0.5  # the least IoU of a box that counts as found, as in COCO's AP50
_TOKENS = 512
_SEED = 3906  # three things that share neither shape nor colour, on a plain ground
# How a thing is looked for, the best way first: by boxes, or where a model draws none by points.
LOOKING = (Task.DETECT, Task.GROUND, Task.POINT)
READING = (Task.OCR_REGIONS, Task.OCR)
TELLING = (Task.CAPTION, Task.CHAT)


@dataclass(frozen=True, slots=True)
class Truth:
    """Something in a picture: what it is called, and where it is."""

    label: str
    box: Box


@dataclass(frozen=True, slots=True)
class Trial:
    """A task, what it was put to, and what came of it; `shares` has one number for each truth."""

    task: Task
    truth: tuple[Truth, ...]
    answers: tuple[Answer, ...]
    shares: tuple[float, ...] = ()

    @property
    def regions(self) -> tuple[Region, ...]:
        return tuple(region for answer in self.answers for region in answer.regions)

    @property
    def found(self) -> int:
        """How much of what is there was found: by a box of IoU 0.5, a point inside, the words in the text."""
        return sum(share >= HIT for share in self.shares)

    @property
    def text(self) -> str:
        return "\n".join(answer.text for answer in self.answers)


def shapes() -> tuple[Picture, tuple[Truth, ...]]:
    """A picture of three different things, 640 × 480 pixels, and what is in it."""
    from vlm_app.media import picture_from
    from vlm_app.pebble.world import draw_scene

    scene = draw_scene(_SEED, kind="shapes", size=(640, 480))
    return picture_from(scene.image), tuple(Truth(thing.name, Box(*thing.box)) for thing in scene.things)


def signs() -> tuple[Picture, tuple[Truth, ...]]:
    """A picture with two printed signs, 640 × 480 pixels, and what they say."""
    from vlm_app.media import picture_from
    from vlm_app.pebble.examples import scenes

    scene = scenes()["signs"]
    return picture_from(scene.image), tuple(Truth(sign.text, Box(*sign.box)) for sign in scene.signs)


def first_of(tasks: Sequence[Task], row: Checkpoint) -> Task | None:
    """The first of these tasks that a model does."""
    return next((task for task in tasks if task in row.tasks), None)


def told(row: Checkpoint, task: Task) -> Trial:
    """The picture of things in words."""
    picture, truth = shapes()
    query = "What is in this image?" if task is Task.CHAT else ""
    return Trial(task, truth, (_asked(row, picture, task, query),))


def looked(row: Checkpoint, task: Task) -> Trial:
    """Each thing is asked for by a question of its own.

    Many classes in one question would test something else: PaliGemma and Pebble were
    taught one or two, GROUND means one phrase.
    """
    picture, truth = shapes()
    answers = tuple(_asked(row, picture, task, thing.label) for thing in truth)
    regions = [region for answer in answers for region in answer.regions]
    shares = inside(regions, truth) if task is Task.POINT else overlaps(regions, truth)
    return Trial(task, truth, answers, tuple(shares))


def read(row: Checkpoint, task: Task) -> Trial:
    """The picture of signs, read aloud; where a sign's words stand in the text it was found."""
    picture, truth = signs()
    answer = _asked(row, picture, task, "")
    text = " ".join(answer.text.casefold().split())
    return Trial(task, truth, (answer,), tuple(float(sign.label.casefold() in text) for sign in truth))


def overlaps(regions: Sequence[Region], truth: Sequence[Truth]) -> list[float]:
    """For each thing that is there, the IoU of the region that names it and was paired with it; 0 for none.

    A region counts for a thing whose name it holds, or that holds its name: a model may
    say 'circle' of the red circle.
    """
    from vlm_app.grounding import iou, match

    shares = [0.0] * len(truth)
    for name in dict.fromkeys(thing.label for thing in truth):
        there = [index for index, thing in enumerate(truth) if thing.label == name]
        named = [region for region in regions if _same(region.label, name)]
        pairs = match([region.shape for region in named], [truth[index].box for index in there], 0.01)
        for one, other in pairs:
            shares[there[other]] = iou(named[one].shape, truth[there[other]].box)
    return shares


def inside(regions: Sequence[Region], truth: Sequence[Truth]) -> list[float]:
    """For each thing that is there, 1 where a point that names it lies in its box, or else 0."""
    return [
        float(
            any(_same(region.label, thing.label) and _within(region.shape, thing.box) for region in regions)
        )
        for thing in truth
    ]


def _within(shape: Shape, box: Box) -> bool:
    return isinstance(shape, Point) and box.x0 <= shape.x <= box.x1 and box.y0 <= shape.y <= box.y1


def _same(said: str, name: str) -> bool:
    said = " ".join(word for word in said.casefold().split() if word not in ("a", "an", "the"))
    return bool(said) and (name in said or said in name)


def _asked(row: Checkpoint, picture: Picture, task: Task, query: str) -> Answer:
    from vlm_app.engine import engine

    words = (query,) if task is Task.CHAT else ()
    request = Request(
        (Turn(Role.USER, (picture, *words)),),
        row.id,
        task=task,
        query=query,
        sampling=Sampling(max_tokens=_TOKENS),
        owner=None,
    )
    *_, last = engine().answer(request)
    assert last.answer is not None, "a stream of the engine ends with its answer"
    return last.answer
