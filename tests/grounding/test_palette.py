"""Colours that go with the labels, and text that can be read on them."""

from __future__ import annotations

import pytest

from vlm_app.grounding import PALETTE, colours, ink
from vlm_app.grounding.palette import contrast
from vlm_app.types import Point, Region


def labelled(*labels: str) -> list[Region]:
    return [Region(label, Point(0.5, 0.5)) for label in labels]


def test_the_same_label_has_the_same_colour_in_order_of_first_appearance() -> None:
    assert colours(labelled("cat", "dog", "cat", "bird", "dog")) == (
        PALETTE[0],
        PALETTE[1],
        PALETTE[0],
        PALETTE[2],
        PALETTE[1],
    )


def test_case_and_outer_spaces_make_no_other_label() -> None:
    assert len(set(colours(labelled("Red circle", "red circle ", "RED CIRCLE")))) == 1


def test_more_labels_than_colours_start_again() -> None:
    given = colours(labelled(*(f"thing {i}" for i in range(len(PALETTE) + 1))))
    assert given[: len(PALETTE)] == PALETTE and given[-1] == PALETTE[0]


def test_no_regions_no_colours() -> None:
    assert colours([]) == ()


@pytest.mark.parametrize("colour", PALETTE)
def test_text_on_every_colour_can_be_read(colour: str) -> None:
    assert contrast(ink(colour), colour) >= 4.5  # WCAG 2.2, level AA
