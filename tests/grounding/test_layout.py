"""Where labels land: in sight, beside their object, off each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vlm_app.grounding.layout import place

CANVAS = (400, 300)
LABEL = (80, 20)
Rectangle = tuple[float, float, float, float]


@st.composite
def rectangles(draw: st.DrawFn) -> Rectangle:
    x, y = draw(st.floats(0, 390)), draw(st.floats(0, 290))
    return x, y, draw(st.floats(x, CANVAS[0])), draw(st.floats(y, CANVAS[1]))


def spot(corner: tuple[int, int] | None, size: tuple[int, int] = LABEL) -> Rectangle:
    assert corner is not None
    return corner[0], corner[1], corner[0] + size[0], corner[1] + size[1]


def shared(a: Rectangle, b: Rectangle) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(width, 0) * max(height, 0)


@given(st.lists(rectangles(), max_size=12))
def test_no_label_leaves_the_image(objects: list[Rectangle]) -> None:
    corners = place([LABEL] * len(objects), objects, range(len(objects)), CANVAS)
    for x0, y0, x1, y1 in (spot(corner) for corner in corners if corner is not None):
        assert x0 >= 0 and y0 >= 0 and x1 <= CANVAS[0] and y1 <= CANVAS[1]


@given(rectangles())
def test_a_lone_object_always_has_its_label(box: Rectangle) -> None:
    [corner] = place([LABEL], [box], [0], CANVAS)
    assert corner is not None


def test_a_label_stands_above_its_object_where_there_is_room() -> None:
    [corner] = place([LABEL], [(100, 100, 200, 200)], [0], CANVAS)
    assert corner == (100, 80)


def test_at_the_upper_edge_it_stands_below_and_at_the_right_edge_it_keeps_inside() -> None:
    assert place([LABEL], [(100, 5, 200, 200)], [0], CANVAS) == [(100, 200)]
    assert place([LABEL], [(360, 100, 400, 200)], [0], CANVAS) == [(320, 80)]


def test_an_object_from_top_to_bottom_has_its_label_at_the_side() -> None:
    [corner] = place([LABEL], [(100, 0, 200, 300)], [0], CANVAS)
    assert shared(spot(corner), (100, 0, 200, 300)) == 0


def test_an_object_that_fills_the_image_has_its_label_in_a_corner() -> None:
    assert place([LABEL], [(0, 0, 400, 300)], [0], CANVAS) == [(0, 0)]


def test_neighbours_keep_their_labels_apart_and_the_objects_in_sight() -> None:
    objects: list[Rectangle] = [(50 + 45 * i, 120, 85 + 45 * i, 180) for i in range(6)]
    corners = place([LABEL] * 6, objects, range(6), CANVAS)
    spots = [spot(corner) for corner in corners]
    assert all(shared(a, b) == 0 for i, a in enumerate(spots) for b in spots[:i])
    assert all(shared(a, box) == 0 for a in spots for box in objects)


def test_a_thing_without_a_label_is_not_covered_either() -> None:
    nameless: Rectangle = (100, 70, 200, 98)
    [corner] = place([LABEL], [nameless, (100, 100, 200, 200)], [1], CANVAS)
    assert shared(spot(corner), nameless) == 0


def test_in_a_crowd_labels_are_left_out_rather_than_piled_up() -> None:
    corners = place([LABEL] * 300, [(195, 145, 205, 155)] * 300, range(300), CANVAS)
    spots = [spot(corner) for corner in corners if corner is not None]
    assert 4 <= len(spots) < 30
    piled = [shared(a, b) for i, a in enumerate(spots) for b in spots[:i]]
    assert max(piled) <= LABEL[0] * LABEL[1] / 3
