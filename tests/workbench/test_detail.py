"""What somebody who looks for small things notices."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from benchmarks import detail as benchmark
from tests.sizes import DETAIL_SCENES
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.grounding import iou
from vlm_app.media import picture_from
from vlm_app.types import (
    Answer,
    Box,
    Delta,
    Finish,
    Mask,
    Picture,
    Point,
    Polygon,
    Region,
    Seen,
    Shape,
    Task,
    Usage,
)
from vlm_app.workbench.detail import detail
from vlm_app.workbench.sheet import Question, Step
from vlm_app.workbench.tiles import MOST_TILES, OVERLAP, Look, areas, cover, merged, tile_side

SEEN = 256
RED, BLUE, GROUND = (255, 0, 0), (0, 0, 255), (200, 210, 220)


def drawn(*things: tuple[int, int, int, int], size: tuple[int, int] = (1000, 700)) -> Picture:
    """Red rectangles (left, top, right, bottom in pixels) on a ground with a grain."""
    grain = np.random.default_rng(0).integers(-8, 9, (size[1], size[0], 1))
    image = Image.fromarray(np.clip(np.array(GROUND) + grain, 0, 255).astype(np.uint8))
    for thing in things:
        image.paste(RED, thing)
    return picture_from(image)


class Spotter:
    """Finds what is red, and sees an image at most 256 pixels large: what is then below 4 is lost.

    Works by the pixels, so that cut things come out cut. `made_up` is found on each part too.
    """

    def __init__(
        self, kind: str = "box", made_up: Region | None = None, lacks: frozenset[Task] = frozenset()
    ):
        self.kind, self.made_up, self.lacks = kind, made_up, lacks
        self.asked: list[tuple[tuple[int, int], Task, str]] = []
        self.closed = 0

    def __call__(self, picture: Picture, task: Task, query: str) -> Generator[Delta]:
        if task in self.lacks:
            raise ModelUnavailable("It cannot do that.")
        self.asked.append((picture.size, task, query))
        try:
            yield Delta()
            regions = tuple(self._regions(picture))
            if self.made_up and (task is not Task.DETECT or not self.lacks):
                regions += (self.made_up,) * (len(self.asked) % 2)
            text = ", ".join(region.label for region in regions)
            seen = Seen(size=(SEEN, SEEN), visual_tokens=64, note="Seen small.")
            yield Delta(text, regions)
            yield Delta(answer=Answer(text, regions, raw=text, task=task, seen=seen, usage=Usage(70, 5)))
        finally:
            self.closed += 1

    def _regions(self, picture: Picture) -> Iterator[Region]:
        import cv2

        scale = max(picture.size) / SEEN
        pixels = np.asarray(picture.pixels).astype(int)
        red = ((pixels[..., 0] > 240) & (pixels[..., 1] < 20)).astype(np.uint8)
        for outline in cv2.findContours(red, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
            x, y, width, height = cv2.boundingRect(outline)
            if min(width, height) >= 4 * scale:
                across, down = picture.size
                box = Box(x / across, y / down, (x + width) / across, (y + height) / down)
                yield Region("red thing", self._shape(box), span=(0, 9))

    def _shape(self, box: Box) -> Shape:
        if self.kind == "point":
            return Point((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
        if self.kind == "polygon":
            corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1))
            return Polygon(tuple(Point(*corner) for corner in corners))
        return Mask(box, (2, 1), b"\1\1") if self.kind == "mask" else box


def last(ask: Spotter, picture: Picture, task: Task = Task.DETECT, query: str = "red thing") -> Answer:
    return list(detail(ask, picture, Question(task, query)))[-1].answer


def boxes(picture: Picture, *things: tuple[int, int, int, int]) -> list[Box]:
    width, height = picture.size
    return [Box(a / width, b / height, c / width, d / height) for a, b, c, d in things]


# On the inner border of tiles, in a corner, alone, two side by side, and a large one.
THINGS = (
    (250, 100, 264, 114),
    (0, 0, 12, 12),
    (988, 688, 1000, 700),
    (500, 300, 512, 312),
    (520, 300, 532, 312),
    (600, 350, 990, 650),
)


# --- what is found ------------------------------------------------------------------------


def test_small_things_are_found_each_once_at_their_places() -> None:
    picture = drawn(*THINGS)
    answer = last(Spotter(), picture)
    assert len(answer.regions) == len(THINGS)
    for box in boxes(picture, *THINGS):
        assert max(iou(region.shape, box) for region in answer.regions) > 0.9
    plain = [delta.answer for delta in Spotter()(picture, Task.DETECT, "") if delta.answer][-1]
    assert len(plain.regions) < len(THINGS)


@pytest.mark.parametrize("kind", ["polygon", "mask"])
def test_outlines_and_masks_come_back_where_they_lie(kind: str) -> None:
    picture = drawn(*THINGS)
    answer = last(Spotter(kind), picture, Task.SEGMENT)
    assert [region.kind for region in answer.regions] == [kind] * len(THINGS)
    for box in boxes(picture, *THINGS):
        assert max(iou(region.shape, box) for region in answer.regions) > 0.9


@pytest.mark.parametrize("task", [Task.POINT, Task.COUNT])
def test_points_of_one_thing_are_one_and_neighbours_stay_two(task: Task) -> None:
    small = THINGS[:5]
    picture = drawn(*small)
    answer = last(Spotter("point"), picture, task)
    points = [region.shape for region in answer.regions if isinstance(region.shape, Point)]
    assert len(points) == len(small)
    for box in boxes(picture, *small):
        assert any(box.x0 <= point.x <= box.x1 and box.y0 <= point.y <= box.y1 for point in points)
    assert answer.text.endswith("Total: 5.") is (task is Task.COUNT)


def test_a_long_thing_that_every_tile_cuts_is_one() -> None:
    wire = (20, 340, 980, 348)  # too thin to be seen in the whole image, and longer than any tile
    picture = drawn(wire)
    answer = last(Spotter(), picture)
    assert len(answer.regions) == 1
    assert iou(answer.regions[0].shape, boxes(picture, wire)[0]) > 0.9


def test_what_is_made_up_is_not_seen_again_and_left_out() -> None:
    made_up = Region("ghost", Box(0.4, 0.4, 0.46, 0.46))
    picture = drawn(THINGS[0])
    answer = last(Spotter(made_up=made_up), picture)
    assert answer.raw.count("ghost") > 10  # once in every other look, never at the same place
    assert [region.label for region in answer.regions] == ["red thing"]
    assert "11 regions not seen again in a second look" in answer.seen.note
    assert "0 regions not seen again" in last(Spotter(), picture).seen.note


def test_a_phrase_is_grounded_and_looked_at_again_by_detecting_it() -> None:
    detects, grounds = Spotter(), Spotter(lacks=frozenset({Task.DETECT}))
    for spotter in (detects, grounds):
        assert len(last(spotter, drawn(THINGS[0]), Task.GROUND, "the red thing").regions) == 1
    assert {task for _, task, _ in detects.asked} == {Task.GROUND, Task.DETECT}
    assert {task for _, task, _ in grounds.asked} == {Task.GROUND}


def test_the_text_names_each_region_and_their_phrases_light_up() -> None:
    answer = last(Spotter(), drawn(*THINGS))
    assert answer.text == ", ".join(["red thing"] * len(THINGS))
    assert all(answer.text[slice(*(region.span or (0, 0)))] == region.label for region in answer.regions)
    spans = sorted(region.span or (0, 0) for region in answer.regions)
    assert all(one[1] < other[0] for one, other in pairwise(spans))


def test_a_picture_without_such_things_says_what_the_model_said() -> None:
    assert last(Spotter(), drawn()).regions == ()
    assert last(Spotter(), drawn(), Task.COUNT).text == "Total: 0."


# --- what is told -------------------------------------------------------------------------


def test_the_note_says_what_was_done() -> None:
    ask = Spotter()
    answer = last(ask, drawn(*THINGS))
    note = answer.seen.note
    assert note.startswith("Seen small. Detail: 20 tiles of 256 × 256 pixels, overlap 20%, ")
    assert "duplicates merged, 0 regions not seen again in a second look, " in note and note.endswith(" s.")
    assert answer.seen.tiles == len(ask.asked) and answer.usage.prompt_tokens == 70 * len(ask.asked)
    assert answer.task is Task.DETECT and answer.finish is Finish.STOP and answer.raw.count("\n") > 18


def test_progress_rises_and_comes_with_what_was_found_so_far() -> None:
    steps = list(detail(Spotter(), drawn(*THINGS), Question(Task.DETECT)))
    done = [step.done for step in steps]
    assert done == sorted(done) and steps[-1].done == steps[-1].total > 20
    assert all(step.done <= step.total for step in steps)
    assert any(0 < len(step.answer.regions) < len(THINGS) for step in steps)
    assert all(step.finding is None for step in steps)


def test_tiles_of_one_colour_are_left_out_and_counted() -> None:
    image = Image.new("RGB", (1000, 700), GROUND)
    image.paste(RED, (500, 300, 512, 312))
    image.putpixel((900, 600), (204, 210, 220))  # as faint as a scratch can be: four levels
    ask = Spotter()
    answer = last(ask, picture_from(image))
    assert len(answer.regions) == 1 and "17 of one colour left out" in answer.seen.note
    assert len([size for size, _, _ in ask.asked if size == (256, 256)]) == 3 + 1  # and the second look


@pytest.mark.parametrize(
    ("task", "sentence"),
    [
        (
            Task.CHAT,
            r"^Detail finds small things with detect, ground, point, count or segment, found 'chat': ",
        ),
        (Task.CAPTION, "found 'caption': choose one of these, or turn detail off"),
        (Task.DESCRIBE_REGION, "found 'describe region'"),
        (Task.OCR, "cut lines of text: turn detail off"),
        (Task.OCR_REGIONS, "cut lines of text: turn detail off"),
    ],
)
def test_detail_is_for_finding_and_says_so(task: Task, sentence: str) -> None:
    ask = Spotter()
    with pytest.raises(BadInput, match=sentence):
        next(detail(ask, drawn(), Question(task, "what?")))
    assert not ask.asked


# --- leaving ------------------------------------------------------------------------------


def until(steps: Generator[Step], done: int) -> Step:
    return next(step for step in steps if step.done == done)


def test_leaving_closes_the_look_that_is_on_its_way_and_asks_no_more() -> None:
    ask = Spotter()
    steps = detail(ask, drawn(*THINGS), Question(Task.DETECT))
    until(steps, 3)
    next(steps)  # the fourth look has begun
    assert (len(ask.asked), ask.closed) == (4, 3)
    steps.close()
    assert (len(ask.asked), ask.closed) == (4, 4)


@pytest.mark.parametrize("after", [0, 3, 20])
def test_stopping_keeps_what_was_found_until_then(after: int) -> None:
    spotter = Spotter()

    def ask(picture: Picture, task: Task, query: str) -> Iterator[Delta]:
        """The engine ends with a CANCELLED answer when it is told to stop."""
        for delta in spotter(picture, task, query):
            stopped = len(spotter.asked) > after and delta.answer
            yield replace(delta, answer=replace(delta.answer, finish=Finish.CANCELLED)) if stopped else delta

    step = list(detail(ask, drawn(*THINGS), Question(Task.DETECT)))[-1]
    assert step.answer.finish is Finish.CANCELLED and len(spotter.asked) == after + 1
    assert step.done <= step.total and len(step.answer.regions) >= 1
    if after == 3:
        assert "stopped at 3 of 20 tiles" in step.answer.seen.note


# --- tiles --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("size", "side"),
    [((1600, 1600), 256), ((300, 200), 167), ((4000, 300), 256), ((40, 30), 23), ((1, 1), 1)],
)
def test_tiles_are_as_large_as_what_the_model_sees_and_cover_the_image(
    size: tuple[int, int], side: int
) -> None:
    assert tile_side(size, (SEEN, SEEN)) == side
    tiles = areas(size, side)
    covered = {(x, y) for x0, y0, x1, y1 in tiles for x in range(x0, x1, 7) for y in range(y0, y1, 7)}
    assert max(x1 for _, _, x1, _ in tiles) == size[0] and max(y1 for *_, y1 in tiles) == size[1]
    assert min(x0 for x0, *_ in tiles) == 0 and len(covered) >= (size[0] // 7) * (size[1] // 7) / 7
    for across in ({x0 for x0, *_ in tiles}, {y0 for _, y0, *_ in tiles}):
        assert all(later - earlier <= side * (1 - OVERLAP) + 1 for earlier, later in pairwise(sorted(across)))


def test_a_model_that_sees_the_whole_image_looks_at_its_halves() -> None:
    assert tile_side((1000, 500), (1000, 500)) == 500 and tile_side((1000, 500), None) == 556


def test_a_huge_image_has_larger_tiles_and_not_thousands() -> None:
    side, tiles = cover((12_000, 9_000), (SEEN, SEEN))
    assert len(tiles) <= MOST_TILES and 256 < side < 900


def test_of_two_looks_that_call_one_thing_differently_the_clearer_one_counts() -> None:
    here = Box(0.5, 0.5, 0.6, 0.6)
    whole = Look((0, 0, 1000, 1000), (1000, 1000), (Region("dog", here),))
    tile = Look((400, 400, 800, 800), (1000, 1000), (Region("cat", Box(0.25, 0.25, 0.5, 0.5)),))
    (region,), twice = merged([whole, tile])
    assert region.label == "cat" and twice == 1


# --- Pebble -------------------------------------------------------------------------------


@pytest.mark.timeout(3600)  # at the full size
def test_detection_of_small_shapes_rises_by_a_fifth_and_more() -> None:
    plain, detailed = benchmark.measure(DETAIL_SCENES, (Task.DETECT,))
    print(plain, detailed)
    assert detailed["F1"] >= plain["F1"] + 0.2
    assert detailed["recall"] > 0.8 and detailed["precision"] > 0.7
