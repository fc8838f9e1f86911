"""What an answer is worth, and how sure that is."""

from __future__ import annotations

import random
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vlm_app.errors import BadInput
from vlm_app.finetune.bootstrap import Estimate, difference, estimates
from vlm_app.finetune.counting import count_of
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.helped import Outcome, helped
from vlm_app.finetune.scoring import FIGURES, HEADLINES, Scores, score, scored
from vlm_app.finetune.text_scores import edits, similarity
from vlm_app.media import picture_from
from vlm_app.types import Box, Mask, Point, Polygon, Region, Task

PICTURE = picture_from(Image.new("RGB", (40, 30), "red"))
LEFT, RIGHT = Box(0.0, 0.0, 0.4, 0.4), Box(0.6, 0.6, 1.0, 1.0)
SHIFTED = Box(0.0, 0.0, 0.4, 0.3)  # IoU 0.75 with LEFT
APART = Box(0.0, 0.0, 0.4, 0.1)  # IoU 0.25 with LEFT


def example(task: Task, *regions: Region, query: str = "cat", text: str = "cat", **more: Any) -> Example:
    facts: dict[str, Any] = {"pictures": (PICTURE,)} | more
    return Example(task=task, query=query, text=text, regions=regions, **facts)


def reply(*regions: Region, text: str = "") -> Reply:
    return Reply(text or ", ".join(one.label for one in regions), regions)


def cat(shape: Any = LEFT, label: str = "cat") -> Region:
    return Region(label, shape)


# --- words --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "truth", "expected"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("flaw", "lawn", 2), ("same", "same", 0), ("漢字", "漢", 1)],
)
def test_edits_are_those_of_levenshtein(found: str, truth: str, expected: int) -> None:
    assert edits(found, truth) == edits(truth, found) == expected


@settings(deadline=None, max_examples=60)
@given(st.text("ab c", max_size=12), st.text("ab c", max_size=12))
def test_edits_agree_with_the_textbook(a: str, b: str) -> None:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row, before = [i], row
        for j, y in enumerate(b, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (x != y)))
    assert edits(a, b) == row[-1]


def test_a_long_page_is_compared_in_no_time() -> None:
    letters = random.Random(0)
    a, b = ("".join(letters.choices("abcdefgh ", k=5000)) for _ in range(2))
    start = time.perf_counter()
    similarity(a, b)
    assert time.perf_counter() - start < 5


def test_an_answer_in_words_is_compared_by_letters() -> None:
    asked = example(Task.CHAT, query="What is it?", text="A red cat.")
    assert score(asked, Reply(" a red  CAT")) == {"exact_match": 1.0, "edit_similarity": pytest.approx(0.5)}
    assert score(asked, Reply("A red bat.")) == {"exact_match": 0.0, "edit_similarity": pytest.approx(0.9)}


def test_reading_is_scored_by_characters() -> None:
    asked = example(Task.OCR, query="", text="STOP HERE")
    assert score(asked, Reply("STOP\nHERE"))["cer"] == 0
    assert score(asked, Reply("STOP THERE"))["cer"] == pytest.approx(1 / 9)
    long = example(Task.OCR, query="", text="a" * 90)
    both = Scores.of([scored(asked, Reply("XXXX XXXX")), scored(long, Reply("a" * 90))])
    assert both.tasks[Task.OCR].figures["cer"].value == pytest.approx(8 / 99)  # of all letters


# --- places -------------------------------------------------------------------------------------


def test_detection_is_scored_by_what_is_found_what_is_missed_and_what_is_not_there() -> None:
    asked = example(Task.DETECT, cat(), cat(RIGHT, "dog"), query="cat, dog", text="cat, dog")
    assert score(asked, reply(cat(SHIFTED), cat(RIGHT, "dog"))) == pytest.approx(
        {"f1": 1.0, "mean_iou": 0.875}
    )
    assert score(asked, reply(cat(SHIFTED)))["f1"] == pytest.approx(2 / 3)
    assert score(asked, reply(cat(), cat(RIGHT)))["f1"] == 0.5  # a cat where the dog is
    assert score(asked, reply(cat(), cat(), cat())) == {"f1": pytest.approx(2 / 5), "mean_iou": 1.0}
    assert score(asked, reply(cat(APART))) == {"f1": 0.0}  # overlaps too little to be it


def test_labels_are_compared_as_people_say_them() -> None:
    asked = example(Task.DETECT, cat(), query="", text="cat")
    assert score(asked, reply(cat(label="The  Cat.")))["f1"] == 1
    assert score(asked, reply(cat(label="dog")))["f1"] == 0
    one_kind = example(Task.DETECT, cat(), query="cat")
    assert score(one_kind, reply(cat(label="grey tabby")))["f1"] == 1


def test_a_region_on_another_image_is_another_region() -> None:
    asked = example(Task.GROUND, cat(), pictures=(PICTURE, PICTURE))
    assert score(asked, Reply("cat", (Region("cat", LEFT, 1),)))["f1"] == 0


def test_many_scenes_are_added_up_thing_by_thing() -> None:
    busy = example(Task.DETECT, *(cat(Box(n / 10, 0, n / 10 + 0.05, 0.1)) for n in range(10)))
    calm = example(Task.DETECT, cat(RIGHT))
    made = Scores.of([scored(busy, reply()), scored(calm, reply(cat(RIGHT)))]).tasks[Task.DETECT]
    # 1 found, 10 missed, none too many: 2·1 / (2·1 + 10); the mean over scenes would be 0.5
    assert made.figures["f1"].value == pytest.approx(2 / 12)
    assert (made.examples, made.images) == (2, 1)


POINTED = [
    (LEFT, Point(0.2, 0.2), True),
    (LEFT, Point(0.5, 0.2), False),
    (Polygon((Point(0, 0), Point(1, 0), Point(0, 1))), Point(0.2, 0.2), True),
    (Polygon((Point(0, 0), Point(1, 0), Point(0, 1))), Point(0.8, 0.8), False),
    (Mask(Box(0, 0, 1, 1), (2, 1), bytes([1, 0])), Point(0.2, 0.5), True),
    (Mask(Box(0, 0, 1, 1), (2, 1), bytes([1, 0])), Point(0.8, 0.5), False),
    (Point(0.5, 0.5), Point(0.53, 0.53), True),
    (Point(0.5, 0.5), Point(0.54, 0.54), False),
    (LEFT, Box(0.1, 0.1, 0.3, 0.3), True),  # an answer in boxes points at their middles
]


@pytest.mark.parametrize(("truth", "found", "right"), POINTED)
def test_a_point_is_right_inside_what_it_points_at(truth: Any, found: Any, right: bool) -> None:
    assert score(example(Task.POINT, cat(truth)), reply(cat(found))) == {"f1": float(right)}


def test_each_thing_wants_a_point_of_its_own() -> None:
    asked = example(Task.POINT, cat(Box(0, 0, 1, 1)), cat(Box(0, 0, 0.5, 0.5)))
    both = reply(cat(Point(0.2, 0.2)), cat(Point(0.9, 0.9)))  # the first one fits both
    assert score(asked, both)["f1"] == 1
    assert score(asked, reply(cat(Point(0.9, 0.9)), cat(Point(0.8, 0.9))))["f1"] == 0.5


def test_places_of_words_and_what_was_read_are_told_apart() -> None:
    sign = Region("STOP", LEFT, text="STOP")
    asked = example(Task.OCR_REGIONS, sign, query="", text="STOP")
    found = score(asked, reply(Region("SHOP", LEFT, text="SHOP")))
    assert found == {"f1": 1.0, "mean_iou": 1.0, "cer": 0.25}


@pytest.mark.parametrize(
    ("text", "regions", "expected"),
    [
        ("There are 3 cats.", (), 3),
        ("three", (), 3),
        ("There are no cats.", (), 0),
        ("cat, cat. Total: 2.", (cat(), cat(RIGHT)), 2),
        ("cat 7, cat 7", (Region("cat 7", LEFT, span=(0, 5)), Region("cat 7", RIGHT, span=(7, 12))), 2),
        ("I cannot tell.", (), None),
        ("It weighs 3.5 kg", (), None),
        ("1,234 people", (), 1234),
        ("In total: 12,345.", (), 12345),
        ("1\u202f234 people", (), 1234),
        ("1 234", (), 1234),
        ("There are 3 500 ml bottles.", (), 3),
        ("It weighs 1,23 kg", (), None),
    ],
)
def test_a_count_is_read_from_words_or_from_what_was_named(
    text: str, regions: tuple[Region, ...], expected: int | None
) -> None:
    assert count_of(text, regions) == expected


def test_counts_are_right_or_wrong_by_so_many() -> None:
    asked = example(Task.COUNT, text="3")
    assert score(asked, Reply("Three.")) == {"count_accuracy": 1.0, "count_error": 0.0}
    assert score(asked, reply(cat())) == {"count_accuracy": 0.0, "count_error": 2.0}


def test_a_right_answer_that_says_no_count_is_compared_in_words() -> None:
    asked = example(Task.COUNT, text="Many.")
    assert score(asked, Reply("many")) == {"exact_match": 1.0, "edit_similarity": pytest.approx(3 / 5)}
    assert score(asked, Reply("0")) == {"exact_match": 0.0, "edit_similarity": 0.0}
    assert not scored(asked, Reply("a lot")).unreadable and scored(asked, Reply(" ")).unreadable
    nothing = example(Task.COUNT, text="")
    assert score(nothing, Reply("0"))["count_accuracy"] == 1 and scored(nothing, Reply("some")).unreadable


# --- what cannot be read ------------------------------------------------------------------------

READ = [
    (Task.DETECT, "cat", reply(text="Sure! Here it is:"), True),
    (Task.DETECT, "cat", reply(text="There is no cat."), False),
    (Task.DETECT, "cat", Reply(""), False),  # nothing is there
    (Task.COUNT, "3", Reply("Some cats."), True),
    (Task.COUNT, "3", Reply("Four."), False),
    (Task.CHAT, "cat", Reply(" "), True),
    (Task.OCR, "cat", Reply(""), True),
]


@pytest.mark.parametrize(("task", "truth", "answer", "unreadable"), READ)
def test_what_cannot_be_read_counts_as_wrong_and_is_counted(
    task: Task, truth: str, answer: Reply, unreadable: bool
) -> None:
    regions = (cat(),) if task is Task.DETECT else ()
    asked = example(task, *regions, query="cat", text=truth)
    made = Scores.of([scored(asked, answer)]).tasks[task]
    assert made.unreadable == int(unreadable)
    if unreadable:
        headline = made.figures[HEADLINES[task]].value
        assert headline == (1.0 if FIGURES[HEADLINES[task]].lower else 0.0)


def test_where_nothing_is_there_saying_nothing_costs_nothing_and_rambling_does() -> None:
    nothing = example(Task.DETECT, text="")
    assert score(nothing, reply(text="There are no cats.")) == {}
    assert score(nothing, reply(cat()))["f1"] == 0
    assert score(nothing, reply(text="Sure! Here it is:"))["f1"] == 0


@pytest.mark.parametrize("task", [Task.OCR, Task.OCR_REGIONS])
def test_of_a_page_without_text_nothing_is_right_and_all_that_is_read_is_wrong(task: Task) -> None:
    pictures = [picture_from(Image.new("RGB", (10, 10), (20 * number, 0, 0))) for number in range(10)]
    empty = [Example((picture,), task, text="") for picture in pictures]
    silent = [scored(one, Reply("")) for one in empty]
    rambling = [scored(one, Reply("none of this is on the page")) for one in empty]
    assert silent[0].ratios["cer"].value == 0 and not silent[0].unreadable
    assert rambling[0].ratios["cer"].value == 1
    assert helped(silent, rambling).tasks[task].changes["cer"].outcome is Outcome.WORSE
    assert task is not Task.OCR or len(helped(silent, rambling).worse) == 10


def test_without_a_right_answer_nothing_is_scored() -> None:
    alone = Example((PICTURE,), Task.CAPTION, text=None, rejected=Reply("A dog."))
    with pytest.raises(BadInput, match="no right answer"):
        scored(alone, Reply("A cat."))


def test_every_task_has_a_figure_that_stands_for_it() -> None:
    assert set(HEADLINES) == set(Task) and set(HEADLINES.values()) <= set(FIGURES)


def test_scores_are_told_flat_by_task_and_figure() -> None:
    made = Scores.of([scored(example(Task.COUNT, text="3"), Reply("3"))])
    assert made.flat() == {"count count_accuracy": 1.0, "count count_error": 0.0}


# --- intervals ----------------------------------------------------------------------------------


def many(count: int, seed: int = 0) -> tuple[list[tuple[float, float]], list[tuple[float, float]], list[str]]:
    drawn = np.random.default_rng(seed)
    before, after = drawn.random((2, count))
    return [(one, 1) for one in before], [(one, 1) for one in after], [str(n) for n in range(count)]


def test_intervals_are_those_of_scipy() -> None:
    from scipy.stats import bootstrap

    before, after, images = many(60)
    x, y = (np.array([top for top, _ in side]) for side in (before, after))
    options: dict[str, Any] = {"n_resamples": 10_000, "method": "percentile", "rng": 1}
    theirs = bootstrap((x,), np.mean, **options).confidence_interval
    mine = estimates({"f1": before}, images)["f1"]
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)
    assert mine.value == pytest.approx(x.mean())

    def gain(a: Any, b: Any, axis: int = -1) -> Any:
        return b.mean(axis=axis) - a.mean(axis=axis)

    theirs = bootstrap((x, y), gain, paired=True, **options).confidence_interval
    rise = difference(before, after, images)
    assert rise is not None
    assert (rise.low, rise.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_a_ratio_of_sums_has_scipys_interval_too() -> None:
    from scipy.stats import bootstrap

    drawn = np.random.default_rng(3)
    bottoms = drawn.integers(1, 12, 80)
    tops = drawn.binomial(bottoms, 0.7)

    def micro(a: Any, b: Any, axis: int = -1) -> Any:
        return a.sum(axis=axis) / b.sum(axis=axis)

    options: dict[str, Any] = {"n_resamples": 10_000, "method": "percentile", "rng": 1, "paired": True}
    theirs = bootstrap((tops, bottoms), micro, **options).confidence_interval
    pairs = [(float(top), float(bottom)) for top, bottom in zip(tops, bottoms, strict=True)]
    mine = estimates({"f1": pairs}, [str(n) for n in range(80)])["f1"]
    assert (mine.low, mine.high) == pytest.approx((theirs.low, theirs.high), abs=0.005)


def test_questions_about_one_image_count_as_one_draw() -> None:
    before, _, images = many(40)
    alone = estimates({"f1": before}, images)["f1"]
    fourfold = estimates({"f1": before * 4}, images * 4)["f1"]
    assert (fourfold.low, fourfold.high) == pytest.approx((alone.low, alone.high))


def test_the_same_seed_gives_the_same_interval() -> None:
    before, _, images = many(20)
    assert estimates({"f1": before}, images, seed=4) == estimates({"f1": before}, images, seed=4)
    assert estimates({"f1": before}, images, seed=4) != estimates({"f1": before}, images, seed=5)


def test_an_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    hit = 0
    for seed in range(200):
        drawn = np.random.default_rng(seed).random(40)
        made = estimates({"f1": [(one, 1) for one in drawn]}, [str(n) for n in range(40)], resamples=1000)[
            "f1"
        ]
        hit += made.low <= 0.5 <= made.high
    assert 180 <= hit <= 198


def test_a_figure_of_nothing_has_no_estimate() -> None:
    assert estimates({"f1": [(0.0, 0.0)]}, ["a"]) == {}
    assert difference([(0.0, 0.0)], [(1.0, 1.0)], ["a"]) is None
    assert estimates({"f1": [(1.0, 1.0)]}, ["a"])["f1"] == Estimate(1.0, 1.0, 1.0)
