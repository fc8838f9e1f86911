"""Comparing regions, as every score that the app shows does."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_app.grounding import bounds, iou, match
from vlm_app.types import Box, Mask, Point, Polygon, Shape

fractions = st.floats(0, 1)
points = st.builds(Point, fractions, fractions)
boxes = st.builds(
    lambda a, b, c, d: Box(min(a, c), min(b, d), max(a, c), max(b, d)),
    fractions,
    fractions,
    fractions,
    fractions,
)
polygons = st.builds(Polygon, st.lists(points, min_size=3, max_size=8).map(tuple))


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    width, height = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    bits = draw(st.lists(st.integers(0, 1), min_size=width * height, max_size=width * height))
    return Mask(draw(boxes), (width, height), bytes(bits))


shapes = st.one_of(boxes, points, polygons, masks())


@given(shapes, shapes)
def test_iou_is_symmetric_and_lies_between_0_and_1(a: Shape, b: Shape) -> None:
    assert iou(a, b) == pytest.approx(iou(b, a))
    assert 0.0 <= iou(a, b) <= 1.0


@given(shapes)
def test_a_shape_is_all_of_itself(shape: Shape) -> None:
    assert iou(shape, shape) == 1.0


@given(polygons)
def test_bounds_hold_every_corner_of_a_polygon(polygon: Polygon) -> None:
    box = bounds(polygon)
    assert all(box.x0 <= point.x <= box.x1 and box.y0 <= point.y <= box.y1 for point in polygon.points)


@given(masks())
def test_bounds_of_a_mask_lie_in_the_box_it_is_laid_over(mask: Mask) -> None:
    box, outer = bounds(mask), mask.box
    assert outer.x0 <= box.x0 <= box.x1 <= outer.x1
    assert outer.y0 <= box.y0 <= box.y1 <= outer.y1


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (Box(0.1, 0.2, 0.3, 0.4), (0.1, 0.2, 0.3, 0.4)),
        (Point(0.3, 0.7), (0.3, 0.7, 0.3, 0.7)),
        (Polygon((Point(0.1, 0.9), Point(0.5, 0.2), Point(0.3, 0.3))), (0.1, 0.2, 0.5, 0.9)),
        (Mask(Box(0, 0, 1, 1), (4, 2), bytes([0, 1, 1, 0, 0, 0, 1, 0])), (0.25, 0.0, 0.75, 1.0)),
        (Mask(Box(0, 0, 0.5, 0.5), (2, 1), bytes([0, 0])), (0, 0, 0.5, 0.5)),  # nothing is set
    ],
)
def test_bounds_are_the_smallest_box(shape: Shape, expected: tuple[float, float, float, float]) -> None:
    assert bounds(shape).xyxy == pytest.approx(expected)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 1, 1), 0.0),  # they touch in a corner
        (Box(0, 0, 0.5, 1), Box(0.25, 0, 0.75, 1), 1 / 3),
        (Box(0, 0, 1, 1), Box(0.25, 0.25, 0.75, 0.75), 0.25),
        (Box(0, 0, 1, 1), Point(0.5, 0.5), 0.0),
        (Point(0.5, 0.5), Point(0.5, 0.5), 1.0),
        (Point(0.5, 0.5), Point(0.5, 0.6), 0.0),
        (Polygon((Point(0, 0), Point(1, 0), Point(0, 1))), Box(0, 0, 1, 1), 1.0),  # by bounding box
    ],
)
def test_iou_by_hand(a: Shape, b: Shape, expected: float) -> None:
    assert iou(a, b) == pytest.approx(expected)


def test_each_true_object_is_found_once_and_the_best_pair_wins() -> None:
    truth = [Box(0, 0, 0.4, 0.4), Box(0.5, 0.5, 1, 1)]
    found = [Box(0, 0, 0.4, 0.3), Box(0.5, 0.5, 1, 0.99), Box(0, 0, 0.4, 0.39), Box(0.6, 0, 0.9, 0.1)]
    assert match(found, truth) == ((1, 1), (2, 0))


def test_a_pair_at_the_threshold_counts() -> None:
    assert match([Box(0, 0, 0.5, 1)], [Box(0, 0, 1, 1)], threshold=0.5) == ((0, 0),)
    assert match([Box(0, 0, 0.5, 1)], [Box(0, 0, 1, 1)], threshold=0.51) == ()


def test_shapes_that_share_nothing_are_no_pair_at_any_threshold() -> None:
    assert match([Box(0, 0, 0.1, 0.1)], [Box(0.5, 0.5, 1, 1)], threshold=0.0) == ()


@given(st.lists(boxes, max_size=6), st.lists(boxes, max_size=6))
def test_nothing_is_matched_twice(found: list[Box], truth: list[Box]) -> None:
    pairs = match(found, truth, threshold=0.1)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    scores = [iou(found[i], truth[j]) for i, j in pairs]
    assert scores == sorted(scores, reverse=True)
