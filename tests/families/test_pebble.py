"""Reading Pebble's answers: whatever it writes, and however far it has come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sizes import FUZZED_ANSWERS
from vlm_app import families
from vlm_app.families import Parsed
from vlm_app.pebble.markup import BINS, region
from vlm_app.pebble.questions import dialogues
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Box, Point, Region, Task

PEBBLE = families.get("pebble")
END = "<end_of_utterance>"
BOX = "<loc_10><loc_20><loc_30><loc_40>"
POINT = "<loc_10><loc_20>"


def parse(text: str, task: Task = Task.CHAT, query: str = "", images: int = 1) -> Parsed:
    return PEBBLE.parse(text, image_size=(300, 200), asked=(task, query), images=[(300, 200)] * images)


@pytest.mark.parametrize(
    ("raw", "text", "labels"),
    [
        # prose, and prose with objects in it
        ("", "", []),
        (f" Yes.{END}", "Yes.", []),
        (f" It is <ref>a disc{BOX} by <ref>a star{BOX}.", "It is a disc by a star.", ["a disc", "a star"]),
        (f" ÖL\nHOUSE{END}\n", "ÖL\nHOUSE", []),
        # lists
        (f" <ref>red disc{BOX}<ref>blue star{BOX}{END}", "red disc, blue star", ["red disc", "blue star"]),
        (f"<ref>cross{POINT}<ref>cross{POINT} Total: 2.{END}", "cross, cross. Total: 2.", ["cross", "cross"]),
        (f"  Total: 0.{END}", "Total: 0.", []),
        (f"<ref>a cross{POINT} and <ref>a star{BOX}", "a cross and a star", ["a cross", "a star"]),
        # cut off: what is not closed is held back
        ("There is <ref>a red ci", "There is", []),
        (f"<ref>a{BOX}<ref>b<loc_1><loc_2>", "a", ["a"]),  # a point, or half a box
        (f"<ref>a{BOX}<ref>b<loc_1><loc_2><loc_3>", "a", ["a"]),
        ("It is <end_of_utt", "It is", []),
        # written wrongly: the words stay, and the other objects
        (f"<ref>a<loc_1><loc_2><loc_3> there <ref>b{BOX}", "a there b", ["b"]),
        (f"<ref>a<ref>b{BOX}", "a, b", ["b"]),
        (f"<ref>a{END}", "a", []),
        (f"a cross {BOX} here", "a cross  here", []),
        (f"<ref>{BOX} here", "here", ["object"]),
        (f"<ref>a{BOX}<loc_7><ref>b{BOX}", "a, b", ["a", "b"]),
        ("<ref>" + "so it goes " * 20 + "on", ("so it goes " * 20 + "on"), []),
        # not markup at all
        ("1 < 2 <locust> <loc_999> <refuse>", "1 < 2 <locust> <loc_999> <refuse>", []),
        # nothing is read behind the end
        (f"Yes.{END}\nUser: <ref>a{BOX}", "Yes.", []),
        # other control tokens vanish
        ("<|im_start|>a <image>b", "a b", []),
    ],
)  # fmt: skip
def test_an_answer_is_read(raw: str, text: str, labels: list[str]) -> None:
    parsed = parse(raw)
    assert parsed.text == text
    assert [found.label for found in parsed.regions] == labels
    for found in parsed.regions:
        assert found.span is None or parsed.text[slice(*found.span)] == found.label


def test_corners_in_the_wrong_order_still_make_a_box() -> None:
    (found,) = parse("<ref>a<loc_30><loc_40><loc_10><loc_20>").regions
    assert found.shape == Box(10.5 / 256, 20.5 / 256, 30.5 / 256, 40.5 / 256)


def test_words_that_were_read_are_the_region_s_text() -> None:
    (found,) = parse(f"<ref>OPEN 24h{BOX}{END}", Task.OCR_REGIONS).regions
    assert found.label == found.text == "OPEN 24h"
    assert parse(f"<ref>a{BOX}").regions[0].text is None


def test_an_object_without_a_label_is_called_what_was_asked_for() -> None:
    (found,) = parse(f"<ref>{BOX}", Task.DETECT, "red circle").regions
    assert found.label == "red circle" and found.span is None


def test_regions_lie_on_the_last_image() -> None:
    assert parse(f"<ref>a{BOX}", images=3).regions[0].image == 2
    assert PEBBLE.parse(f"<ref>a{BOX}", image_size=(1, 1)).regions[0].image == 0


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.booleans())
def test_what_is_written_is_read_within_a_unit_of_the_grid(numbers: list[float], point: bool) -> None:
    x0, y0, x1, y1 = min(numbers[::2]), min(numbers[1::2]), max(numbers[::2]), max(numbers[1::2])
    written = (x0, y0) if point else (x0, y0, x1, y1)
    (found,) = parse(region("a", written) + END).regions
    read = (found.shape.x, found.shape.y) if isinstance(found.shape, Point) else found.shape.xyxy
    assert read == pytest.approx(written, abs=1 / BINS)


MARKUP = ["<ref>", "<loc_0>", "<loc_7>", "<loc_255>", "<loc_256>", END, "<image>", "<|im_start|>"]
SCRAPS = ["<", ">", "<lo", "c_3>", "<re", "f>", "<|im_", "start|>", "\ufffd"]
WORDS = [" ", "  ", "\n", "a", "Total: 2.", "B", ", ", ".", "red circle", "é漢", "x" * 150]
PIECES = st.sampled_from(MARKUP + SCRAPS + WORDS)
RAW = st.lists(PIECES | st.text(max_size=5), max_size=30).map("".join)


@settings(deadline=None)
@given(RAW, st.sampled_from(sorted(PEBBLE.tasks)), st.data())
def test_whatever_is_written_can_be_read_at_any_point(raw: str, task: Task, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(raw)))
    check_growth(raw[:cut], raw, task)


@settings(deadline=None, max_examples=FUZZED_ANSWERS)
@given(st.integers(0, 10_000))
def test_true_answers_grow_steadily(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for dialogue in dialogues(rng, draw_scene(rng), 6):
        for _, answer in dialogue.turns:
            raw = f" {answer}{END}"
            for cut in range(0, len(raw), 3):
                check_growth(raw[:cut], raw, Task.CHAT)
            assert len(parse(raw).regions) == answer.count("<ref>")
            assert "<" not in parse(raw).text


def check_growth(short: str, long: str, task: Task) -> None:
    before, after = parse(short, task), parse(long, task)
    assert after.text.startswith(before.text)
    assert after.regions[: len(before.regions)] == before.regions
    end = 0
    for found in after.regions:
        if found.span is not None:
            assert after.text[slice(*found.span)] == found.label
            assert found.span[0] >= end
            end = found.span[1]


def test_boxes_are_taught_from_left_to_right_in_whatever_order_somebody_drew_them() -> None:
    drawn = [
        Region("heart", Box(0.7, 0.1, 0.9, 0.3)),
        Region("star", Box(0.1, 0.6, 0.3, 0.8)),
        Region("ring", Box(0.1, 0.2, 0.3, 0.4)),
    ]
    raw = PEBBLE.write(drawn, image_size=(256, 256), asked=(Task.DETECT, ""))
    read = PEBBLE.parse(raw, image_size=(256, 256), asked=(Task.DETECT, ""))
    assert [one.label for one in read.regions] == ["ring", "star", "heart"]
    lines = PEBBLE.write(drawn, image_size=(256, 256), asked=(Task.OCR_REGIONS, ""))  # as they are read
    read = PEBBLE.parse(lines, image_size=(256, 256), asked=(Task.OCR_REGIONS, ""))
    assert [one.label for one in read.regions] == ["heart", "star", "ring"]
