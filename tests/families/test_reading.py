"""How answers are built, and what is done with coordinates that models get wrong."""

from __future__ import annotations

import re

import pytest

from vlm_app.errors import BadInput
from vlm_app.families.base import Parsed
from vlm_app.families.reading import (
    LONGEST,
    Reader,
    asked_box,
    box,
    numbers,
    point,
    polygon,
    read_markup,
    scaled,
)
from vlm_app.types import Box, Point

HERE = Box(0.1, 0.2, 0.3, 0.4)


def test_things_alone_are_listed_by_commas() -> None:
    reader = Reader()
    reader.thing("cat", HERE)
    reader.prose("\n")
    reader.thing(" 犬 ", HERE, HERE)
    assert reader.parsed().text == "cat, 犬"
    assert [(found.label, found.span) for found in reader.regions] == [
        ("cat", (0, 3)),
        ("犬", (5, 6)),
        ("犬", (5, 6)),
    ]


def test_things_in_a_sentence_stand_as_they_were_written() -> None:
    reader = Reader(image=1)
    reader.prose(" I see ")
    reader.thing("a cat", HERE)
    reader.prose(" on\n")
    reader.thing("a mat", HERE, image=0)
    reader.prose(" .  ")
    assert reader.parsed().text == "I see a cat on\na mat ."
    assert [found.image for found in reader.regions] == [1, 0]


def test_words_can_get_their_place_afterwards() -> None:
    reader = Reader()
    reader.prose("A man on a horse")
    reader.behind("a horse", HERE)
    reader.behind("a dog", HERE)
    assert [found.span for found in reader.regions] == [(9, 16), None]


def test_a_thing_without_a_place_is_still_named() -> None:
    reader = Reader()
    reader.thing("cat", None)
    assert reader.parsed() == Parsed("cat")


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ((100, 200, 300, 400), HERE),
        ((300, 400, 100, 200), HERE),  # reversed corners
        ((-20, 200, 300, 1050), Box(0, 0.2, 0.3, 1)),  # a little outside
        ((100, 200, 300, 4000), None),  # far outside
        ((100, 200, 300), None),  # cut short
        ((100, 200, 300, float("nan")), None),
    ],
)
def test_boxes_are_put_right_or_left_out(values: tuple[float, ...], read: Box | None) -> None:
    assert box(values, 1000, 1000) == read


def test_points_and_outlines_are_put_right_or_left_out() -> None:
    assert point((50, 101), 100, 100) == Point(0.5, 1)
    assert point((50, 200), 100, 100) is None
    assert point((1, 1), 0, 0) is None
    outline = polygon((0, 0, 50, 0, 50, 500, 50, 50, 7), 100, 100)
    assert outline is not None
    assert [(place.x, place.y) for place in outline.points] == [(0, 0), (0.5, 0), (0.5, 0.5)]
    assert polygon((0, 0, 50, 50), 100, 100) is None


def test_numbers_and_units() -> None:
    assert numbers("(1, -2.5) <loc_0007> " + "9" * 400) == [1, -2.5, 7]
    assert numbers(f"{1 / 3} 1e-05 .5") == [1 / 3, 1e-05, 0.5]
    assert scaled((0.1, 1.0, 0.25, 0.5), 1000, 200) == [100, 200, 250, 100]
    assert scaled((1.0, 1.0), 1024, 1024, 1023) == [1023, 1023]


@pytest.mark.parametrize(
    ("query", "read"),
    [
        ("0.1, 0.2, 0.3, 0.4", HERE),
        ("What is in [0.1, 0.2, 0.3, 0.4]?", HERE),
        (f"{1 / 3}, 0.2, 0.5, 0.6", Box(1 / 3, 0.2, 0.5, 0.6)),
        ("1e-05 .2 5E-1 0.6", Box(1e-05, 0.2, 0.5, 0.6)),
        ("0." + "3" * 40 + ", 0, 1, 1", Box(float("0." + "3" * 40), 0, 1, 1)),
    ],
)
def test_a_part_is_asked_for_in_any_way_that_fractions_are_written(query: str, read: Box) -> None:
    assert asked_box(query) == read


@pytest.mark.parametrize(
    "query", ["", "0.1, 0.2, 0.3", "0.1, 0.2, 0.3, 1e9", "0, 0, 1, " + "9" * 400, "nan 0 1 1"]
)
def test_what_is_no_part_is_refused_with_what_was_found(query: str) -> None:
    with pytest.raises(BadInput, match="four fractions of the image"):
        asked_box(query)


WHOLE = re.compile(r"<b>(\d+)</b>")
OPENED = re.compile(r"<b>\d*(<(/b?)?)?\Z")


def read(text: str) -> str:
    reader = Reader()

    def name(found: re.Match[str]) -> None:
        reader.thing(found.group(1))

    control = ["<b>", "<pad>"]
    return read_markup(text, reader, WHOLE, name, opened=OPENED, control=control, end="<end>").text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("", ""),
        ("Hi <b>1</b><b>2</b>", "Hi 1, 2"),
        ("Hi <b>1</b> and <b>", "Hi 1 and"),
        ("Hi <b>12</", "Hi"),
        ("Hi <p", "Hi"),
        ("a < b", "a < b"),
        ("Hi<pad><end> there", "Hi"),
        ("Hi<en", "Hi"),
        ("<b>" + "1" * LONGEST, "1" * LONGEST),  # no markup after all
    ],
)
def test_markup_is_read_and_what_is_unfinished_waits(raw: str, text: str) -> None:
    assert read(raw) == text


def test_a_bracket_before_unfinished_markup_stays() -> None:
    opened, never = re.compile(r"<ref>[^<]*\Z"), re.compile("(?!)")
    texts = [
        read_markup(raw, Reader(), never, lambda _: None, opened=opened, control=["<ref>", "<|end|>"]).text
        for raw in ("<", "<<", "<<ref", "<<ref>", "<<ref>a")
    ]
    assert texts == ["", "<", "<", "<", "<"]
