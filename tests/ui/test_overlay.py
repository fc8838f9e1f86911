"""Regions are drawn over their picture, each with its colour, key and label."""

from __future__ import annotations

import re

from vlm_app.types import Box, Mask, Point, Polygon, Region, Shape
from vlm_app.ui.overlay import Drawn, figure


def drawn(shape: Shape, label: str = "thing", key: str = "m-0") -> Drawn:
    return Drawn(Region(label, shape), key, "#0072B2")


def test_box_lies_where_the_region_says_in_pixels_of_the_picture() -> None:
    html = figure("id", (400, 200), [drawn(Box(0.25, 0.5, 0.75, 1.0))], name="Image 1")
    assert 'viewBox="0 0 400 200"' in html
    assert 'x="100.00" y="100.00" width="200.00" height="100.00"' in html


def test_points_polygons_and_masks_are_drawn_too() -> None:
    triangle = Polygon((Point(0, 0), Point(1, 0), Point(0.5, 1)))
    mask = Mask(Box(0, 0, 0.5, 0.5), (2, 2), bytes((1, 0, 0, 1)))
    html = figure("id", (100, 100), [drawn(Point(0.5, 0.5)), drawn(triangle), drawn(mask)], name="Image 1")
    assert 'd="M50.00 50.00h0.01"' in html
    assert 'points="0.00,0.00 100.00,0.00 50.00,100.00"' in html
    assert 'href="data:image/png;base64,' in html


def test_picture_comes_from_the_route_that_checks_the_owner() -> None:
    html = figure("a-b", (4, 3), [drawn(Box(0, 0, 1, 1))], name="Image 2", saved_as="/media/a-b/answer/m")
    assert re.findall(r'(?:src|href)="([^"]+)"', html) == ["/media/a-b", "/media/a-b", "/media/a-b/answer/m"]


def test_labels_are_text() -> None:
    html = figure("id", (9, 9), [drawn(Box(0, 0, 1, 1), '"><script>alert(1)</script>')], name="Image 1")
    assert "<script" not in html
    assert html.count('"><script') == 0


def test_label_stands_beside_its_region_where_there_is_room() -> None:
    def side(box: Box) -> str:
        found = re.search(r'class="tag (\w+)"', figure("id", (640, 440), [drawn(box)], name="Image 1"))
        assert found
        return found[1]

    assert side(Box(0.2, 0.3, 0.4, 0.5)) == "above"
    assert side(Box(0.2, 0.0, 0.4, 0.2)) == "below"
    assert side(Box(0.2, 0.0, 0.4, 1.0)) == "right"
    assert side(Box(0.7, 0.0, 1.0, 1.0)) == "left"
    assert side(Box(0.0, 0.0, 1.0, 1.0)) == "within"


def test_labels_do_not_cover_each_other_while_there_is_room() -> None:
    twins = [drawn(Box(0.2, 0.3, 0.4, 0.5)), drawn(Box(0.21, 0.31, 0.41, 0.51))]
    sides = re.findall(r'class="tag (\w+)"', figure("id", (640, 440), twins, name="Image 1"))
    assert len(set(sides)) == 2


def test_strip_of_20000_by_2_pixels_has_a_figure() -> None:
    assert "max-width:640px" in figure("id", (20_000, 2), [drawn(Box(0, 0, 1, 1))], name="Image 1")
