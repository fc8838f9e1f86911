"""What somebody who asks two models notices of what they agree on."""

from __future__ import annotations

import time

import pytest

from vlm_app.ocr.differences import differing
from vlm_app.types import Box, Mask, Point, Polygon, Region
from vlm_app.workbench.agreement import agreed

HERE, NEARLY, THERE = Box(0.1, 0.1, 0.3, 0.3), Box(0.12, 0.1, 0.3, 0.3), Box(0.6, 0.6, 0.8, 0.8)


def test_regions_that_lie_on_each_other_agree_and_others_do_not() -> None:
    assert agreed([Region("cat", HERE), Region("dog", THERE)], [Region("dog", THERE)]) == ((1, 0),)
    assert agreed([Region("cat", HERE)], [Region("cat", THERE)]) == ()
    assert agreed([], [Region("cat", HERE)]) == ()


def test_the_best_pairs_come_first_and_each_region_is_in_one() -> None:
    found = agreed([Region("cat", NEARLY), Region("cat", HERE)], [Region("cat", HERE), Region("cat", NEARLY)])
    assert sorted(found) == [(0, 1), (1, 0)]
    assert agreed([Region("cat", NEARLY), Region("cat", HERE)], [Region("cat", HERE)]) == ((1, 0),)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("red circle", "the Red circle", True),
        ("circle", "red circle", True),
        ("red circle", "blue circle", False),
        ("dog", "cat", False),
        ("object", "cat", True),  # no label that would tell it apart
        ("", "cat", True),
    ],
)
def test_labels_have_to_agree_where_both_have_one(one: str, other: str, same: bool) -> None:
    assert bool(agreed([Region(one, HERE)], [Region(other, HERE)])) is same


def test_how_much_they_overlap_is_a_choice() -> None:
    half = Box(0.1, 0.1, 0.3, 0.2)
    assert agreed([Region("cat", HERE)], [Region("cat", half)], 0.5) == ((0, 0),)
    assert agreed([Region("cat", HERE)], [Region("cat", half)], 0.6) == ()


def test_points_agree_when_they_are_near() -> None:
    at = [Region("cat", Point(0.5, 0.5))]
    assert agreed(at, [Region("cat", Point(0.53, 0.5))]) == ((0, 0),)
    assert agreed(at, [Region("cat", Point(0.56, 0.5))]) == ()
    assert agreed(at, [Region("cat", Point(0.5, 0.5)), Region("cat", Point(0.51, 0.5))]) == ((0, 0),)


def test_a_point_agrees_with_what_is_around_it() -> None:
    point = [Region("cat", Point(0.2, 0.2))]
    outline = Polygon((Point(0.1, 0.1), Point(0.3, 0.1), Point(0.2, 0.3)))
    for shape in (HERE, outline, Mask(HERE, (1, 1), b"\1")):
        assert agreed(point, [Region("cat", shape)]) == ((0, 0),)
        assert agreed([Region("cat", shape)], point) == ((0, 0),)
    assert agreed(point, [Region("cat", THERE)]) == ()


def test_what_lies_on_another_page_never_agrees() -> None:
    assert agreed([Region("cat", HERE, 0)], [Region("cat", HERE, 1)]) == ()


def test_located_text_agrees_by_what_was_read_and_where() -> None:
    line = [Region("text", HERE, text="Total 12.50 EUR")]
    assert agreed(line, [Region("text", NEARLY, text="Total 12,50 EUR")]) == ((0, 0),)
    assert agreed(line, [Region("text", NEARLY, text="Thank you")]) == ()
    assert agreed(line, [Region("text", THERE, text="Total 12.50 EUR")]) == ()


def test_pages_full_of_regions_are_compared_while_one_waits() -> None:
    many = [Region("cat", Box(i / 600, 0.1, (i + 1) / 600, 0.2)) for i in range(500)]
    begun = time.monotonic()
    assert len(agreed(many, many)) == 500
    assert time.monotonic() - begun < 10  # about half a second; two cores may be busy


def test_a_word_framed_closely_and_one_framed_with_its_sign_agree() -> None:
    close = Region("COLD", Box(0.18, 0.60, 0.49, 0.71), text="COLD")
    wide = Region("COLD", Box(0.11, 0.53, 0.55, 0.79), text="COLD")
    beside = Region("COLD", Box(0.45, 0.53, 0.89, 0.79), text="COLD")
    assert agreed([close], [wide]) == ((0, 0),)
    assert agreed([close], [beside]) == ()


def test_two_readings_of_a_long_document_are_compared_at_once() -> None:
    """200 pages of 50 lines: only what lies on the same page is compared."""
    lines = [
        Region(f"line {n}", Box(0.1, n % 50 / 50, 0.9, n % 50 / 50 + 0.015), n // 50, f"line {n}")
        for n in range(10_000)
    ]
    begun = time.monotonic()
    assert len(agreed(lines, lines)) == 10_000
    assert differing(lines, lines) == frozenset()
    assert time.monotonic() - begun < 10
