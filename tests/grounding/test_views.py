"""A region that was found in a part of an image lies at its place in the whole."""

from __future__ import annotations

import pytest

from vlm_app.grounding.views import placed
from vlm_app.types import Box, Mask, Point, Polygon, Shape

VIEW = Box(0.5, 0.25, 1.0, 0.75)  # the right half, in the middle


@pytest.mark.parametrize(
    ("shape", "there"),
    [
        (Box(0, 0, 1, 1), VIEW),
        (Box(0.5, 0.5, 1, 0.75), Box(0.75, 0.5, 1.0, 0.625)),
        (Point(0.5, 1), Point(0.75, 0.75)),
        (
            Polygon((Point(0, 0), Point(1, 0), Point(1, 1))),
            Polygon((Point(0.5, 0.25), Point(1, 0.25), Point(1, 0.75))),
        ),
        (Mask(Box(0, 0, 0.5, 0.5), (2, 1), b"\0\1"), Mask(Box(0.5, 0.25, 0.75, 0.5), (2, 1), b"\0\1")),
    ],
)
def test_a_shape_of_a_part_lies_at_its_place_in_the_whole(shape: Shape, there: Shape) -> None:
    assert placed(shape, VIEW) == there


def test_rounding_never_leaves_the_image() -> None:
    for number in range(1, 400):
        view = Box((number - 1) / 400, 0, number / 400, number / 401)
        assert placed(Box(0, 0, 1, 1), view) == view
