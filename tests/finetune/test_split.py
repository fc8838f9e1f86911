"""What is held out, and what stays together."""

from __future__ import annotations

import random
import time
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.split import Split, labels, split
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Box, Picture, Region, Task

BOX = Box(0.1, 0.2, 0.3, 0.4)


@cache
def picture(number: int) -> Picture:
    """Pictures that do not look alike: coarse noise."""
    noise = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return picture_from(Image.fromarray(noise).resize((48, 48), Image.Resampling.NEAREST))


def detect(number: int, label: str = "cat", **more: Any) -> Example:
    facts: dict[str, Any] = {"query": label, "text": label, "regions": (Region(label, BOX),)}
    return Example((picture(number),), Task.DETECT, **(facts | more))


def caption(number: int, text: str = "A long sentence about what can be seen in the picture.") -> Example:
    return Example((picture(number),), Task.CAPTION, text=text)


def sides(made: Split) -> tuple[set[str], set[str]]:
    train, held = (
        {one.sha256 for example in side for one in example.pictures} for side in (made.train, made.held_out)
    )
    return train, held


def test_no_picture_is_on_both_sides() -> None:
    examples = [maker(number) for number in range(40) for maker in (detect, caption)]
    made = split(examples, 0.25)
    train, held = sides(made)
    assert not train & held
    assert len(made.held_out) == 20 and len(made.train) == 60
    assert made.sentence == "20 of 80 examples are held out, on 10 of 40 images."


def test_what_is_known_to_be_wrong_is_no_label_and_one_is_said_as_one() -> None:
    for task in (Task.DETECT, Task.COUNT):
        wrong = Example((picture(1),), task, "cat", None, rejected=Reply("2 cats"))
        assert labels(wrong) == ()
    made = split([detect(number) for number in range(4)], 0.25)
    assert made.sentence.startswith("1 of 4 examples is held out")


def test_pictures_that_look_the_same_stay_together() -> None:
    examples = [detect(number) for number in range(20)]
    scaled = picture_from(picture(3).pixels.resize((96, 96), Image.Resampling.NEAREST))
    again = Example((scaled,), Task.CAPTION, text="The same, twice as large, in many more words.")
    for seed in range(8):
        made = split([*examples, again], 0.4, seed)
        train, held = sides(made)
        assert ({scaled.sha256, picture(3).sha256} <= train) or ({scaled.sha256, picture(3).sha256} <= held)
        assert "1 image that looks like another stayed on its side" in made.sentence


def test_an_example_of_two_pictures_keeps_their_examples_on_its_side() -> None:
    both = Example((picture(1), picture(2)), Task.CHAT, "What differs?", "The colours differ a great deal.")
    examples = [detect(1), detect(2), both, *(detect(number) for number in range(3, 20))]
    for seed in range(8):
        train, held = sides(split(examples, 0.4, seed))
        assert {picture(1).sha256, picture(2).sha256} <= train or {
            picture(1).sha256,
            picture(2).sha256,
        } <= held


def test_every_task_and_label_has_its_share() -> None:
    examples = [detect(number, "cat" if number % 4 else "dog") for number in range(80)]
    examples += [caption(number) for number in range(80, 120)]
    counts = Counter((one.task, one.query) for one in split(examples, 0.2).held_out)
    assert counts == {(Task.DETECT, "cat"): 12, (Task.DETECT, "dog"): 4, (Task.CAPTION, ""): 8}


def test_many_rare_labels_leave_the_common_one_its_share() -> None:
    rare = [detect(number, f"kind {number // 3}") for number in range(90)]
    common = [detect(number, "cat") for number in range(100, 190)]
    held = split([*rare, *common], 0.2).held_out
    assert len(held) == 36
    assert 14 <= sum(one.query == "cat" for one in held) <= 22


def test_the_only_picture_of_a_label_is_learned_from() -> None:
    examples = [detect(number) for number in range(20)] + [detect(50, "unicorn")]
    for seed in range(8):
        assert "unicorn" in {one.query for one in split(examples, 0.3, seed).train}


def test_the_same_seed_splits_the_same_in_any_order() -> None:
    examples = [detect(number, "cat" if number % 3 else "dog") for number in range(30)]
    shuffled = random.Random(0).sample(examples, len(examples))
    assert sides(split(examples, 0.3, 7)) == sides(split(shuffled, 0.3, 7))
    assert len({frozenset(sides(split(examples, 0.3, seed))[1]) for seed in range(5)}) > 1


def test_examples_that_are_added_leave_the_others_where_they_were() -> None:
    before = [detect(number, "cat" if number % 3 else "dog") for number in range(100)]
    held = sides(split(before, 0.2))[1]
    after = sides(split([*before, *(detect(number) for number in range(200, 210))], 0.2))[1]
    old = {picture(number).sha256 for number in range(100)}
    assert len(held ^ (after & old)) <= 6  # of 100: those that make room


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abc")), min_size=2, max_size=12),
    st.sampled_from([0.01, 0.2, 0.5, 0.99]),
)
def test_neither_side_is_empty_where_there_are_two_images(drawn: list[tuple[int, str]], share: float) -> None:
    examples = [detect(number, label) for number, label in drawn]
    made = split(examples, share)
    assert len(made.train) + len(made.held_out) == len(examples)
    if len({number for number, _ in drawn}) > 1:
        assert made.train and made.held_out
    else:
        assert not made.held_out and "because all pictures are one" in made.sentence


def test_nothing_is_held_out_when_nobody_asks_for_it() -> None:
    made = split([detect(1), detect(2)], 0.0)
    assert len(made.train) == 2 and made.sentence.startswith("Nothing is held out, as asked")
    assert split([], 0.2).sentence == "There are no examples to split."


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (detect(1, "Cat"), ("cat",)),
        (detect(1, regions=(), text=""), ("nothing",)),
        (Example((picture(1),), Task.COUNT, "cats", "There are three."), ("3",)),
        (Example((picture(1),), Task.CHAT, "Is there a cat?", "Yes."), ("yes",)),
        (caption(1), ()),
        (Example((picture(1),), Task.OCR, text="STOP"), ()),
    ],
)
def test_labels_are_what_a_class_would_be(example: Example, expected: tuple[str, ...]) -> None:
    assert labels(example) == expected


def test_drawn_scenes_do_not_all_count_as_one_picture() -> None:
    rng = np.random.default_rng(0)
    scenes = [picture_from(draw_scene(rng).image) for _ in range(60)]
    made = split(
        [Example((one,), Task.CAPTION, text="A scene of several drawn shapes.") for one in scenes], 0.2
    )
    assert 9 <= len(made.held_out) <= 15


def test_what_an_adapter_was_taught_is_not_held_out_from_a_run_that_goes_on_from_it() -> None:
    examples = [detect(number) for number in range(40)]
    taught, _ = sides(split(examples, 0.25, seed=1))
    _, asked = sides(split(examples, 0.25, seed=2))
    assert asked & taught  # another seed would hold them out
    train, held = sides(split(examples, 0.25, seed=2, taught=taught))
    assert held and not held & taught and not held & train
    everything = split(examples, 0.25, seed=2, taught=taught | held)
    assert everything.held_out == () and "taught before" in everything.sentence


def test_thousands_of_pictures_that_look_alike_are_soon_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlm_app.finetune.split.likeness", lambda picture: 0)
    one = picture(0)
    examples = [
        Example((Picture(one.pixels, f"{number:064x}"),), Task.CAPTION, text="A long sentence of many words.")
        for number in range(20_000)
    ]
    began = time.process_time()
    assert "look the same" in split(examples, 0.2).sentence
    assert time.process_time() - began < 10  # asking each of all others took minutes
