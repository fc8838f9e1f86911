"""What may be said of an adapter: it helped, it did harm, or nobody can tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pytest

from vlm_app.finetune.helped import NO_CHANGE, Outcome, Verdict, helped
from vlm_app.finetune.scoring import Ratio, Scored
from vlm_app.types import Task


def one(key: int, value: float, task: Task = Task.CHAT, name: str = "edit_similarity") -> Scored:
    return Scored(f"{key:04}", f"image {key}", task, {name: Ratio(value, 1)})


def compared(before: Sequence[float], after: Sequence[float]) -> Verdict:
    sides = ([one(key, value) for key, value in enumerate(side)] for side in (before, after))
    return helped(*sides)


def test_a_clear_gain_is_told_with_its_interval() -> None:
    drawn = np.random.default_rng(0).normal(0.123, 0.1, 40)
    verdict = compared([0.5] * 40, list(0.5 + drawn))
    words = verdict.tasks[Task.CHAT].words
    found = re.fullmatch(r"better by (\d+\.\d) points \((\d+\.\d) to (\d+\.\d)\)", words)
    assert found
    value, low, high = map(float, found.groups())
    assert value == pytest.approx(100 * drawn.mean(), abs=0.06) and low < value < high
    assert verdict.outcome is Outcome.BETTER
    assert verdict.sentence == f"chat {words}."


def test_a_loss_is_told_as_such() -> None:
    verdict = compared([0.9] * 20, [0.8, 0.85] * 10)
    assert re.fullmatch(r"worse by 7\.5 points \(6\.\d to 8\.\d\)", verdict.tasks[Task.CHAT].words)
    assert verdict.outcome is Outcome.WORSE


def test_no_measurable_change_is_said_in_those_words() -> None:
    for after in ([0.5] * 30, [0.4, 0.6] * 15):
        verdict = compared([0.5] * 30, after)
        assert verdict.tasks[Task.CHAT].words == NO_CHANGE == "No measurable change"
        assert verdict.sentence == "No measurable change." and verdict.outcome is Outcome.SAME
    headline = verdict.tasks[Task.CHAT].headline
    assert headline and re.fullmatch(r"\+0\.0 points \(−\d\.\d to \+\d\.\d\)\.", headline.detail)


def test_a_few_images_prove_nothing() -> None:
    verdict = compared([0.0] * 5, [1.0] * 5)
    headline = verdict.tasks[Task.CHAT].headline
    assert headline and headline.words == NO_CHANGE
    assert headline.detail == "Only 5 images differ: at least 6 are needed to tell."
    assert compared([0.0] * 6, [1.0] * 6).tasks[Task.CHAT].words == "better by 100.0 points (100.0 to 100.0)"


def test_chance_is_rarely_taken_for_help() -> None:
    wrong = 0
    for seed in range(50):
        before, after = np.random.default_rng(seed).random((2, 40))
        wrong += compared(list(before), list(after)).outcome is not Outcome.SAME
    assert wrong <= 7  # 2.5 are expected


def test_fewer_errors_are_better() -> None:
    before = [Scored(f"{n}", f"{n}", Task.OCR, {"cer": Ratio(4, 10)}) for n in range(10)]
    after = [Scored(f"{n}", f"{n}", Task.OCR, {"cer": Ratio(1 + n % 2, 10)}) for n in range(10)]
    verdict = helped(before, after)
    assert verdict.tasks[Task.OCR].words.startswith("better by 25.0 points (")
    assert len(verdict.better) == 10 and verdict.better[0].gain == pytest.approx(0.3)
    counts = [
        [Scored(f"{n}", f"{n}", Task.COUNT, {"count_error": Ratio(error, 1)}) for n in range(8)]
        for error in (2, 1)
    ]
    change = helped(*counts).tasks[Task.COUNT].changes["count_error"]
    assert change.words == "better by 1.00 (1.00 to 1.00)"


def test_each_task_is_judged_by_itself() -> None:
    before = [one(n, 0.5) for n in range(10)] + [one(100 + n, 0.9, Task.POINT, "f1") for n in range(10)]
    after = [one(n, 0.8) for n in range(10)] + [one(100 + n, 0.2, Task.POINT, "f1") for n in range(10)]
    verdict = helped(before, after)
    assert verdict.tasks[Task.CHAT].words.startswith("better by 30.0 points")
    assert verdict.tasks[Task.POINT].words.startswith("worse by 70.0 points")
    assert verdict.outcome is Outcome.WORSE
    assert verdict.sentence.startswith("chat better by 30.0 points")


def test_examples_that_moved_come_the_most_first() -> None:
    verdict = compared([0.5, 0.5, 0.5, 0.5], [0.5, 0.9, 0.6, 0.1])
    assert [(move.key, round(move.gain, 3)) for move in verdict.better] == [("0001", 0.4), ("0002", 0.1)]
    assert [(move.key, round(move.gain, 3)) for move in verdict.worse] == [("0003", -0.4)]


def test_an_image_where_nothing_is_may_get_worse() -> None:
    empty = Scored("a", "a", Task.DETECT, {"f1": Ratio(0, 0)})
    found = Scored("a", "a", Task.DETECT, {"f1": Ratio(0, 1)})
    (move,) = helped([empty], [found]).worse
    assert (move.before, move.after) == (1.0, 0.0)


def test_the_order_of_the_answers_does_not_matter() -> None:
    before, after = [one(n, n / 10) for n in range(10)], [one(n, (n + 2) / 12) for n in range(10)]
    assert helped(before, after) == helped(before, after[::-1])


def test_other_examples_are_no_comparison() -> None:
    with pytest.raises(ValueError, match="found 2 on one side only"):
        helped([one(1, 0.5)], [one(2, 0.5)])


def test_unreadable_answers_are_told_before_and_after() -> None:
    before = [Scored("a", "a", Task.CHAT, {"edit_similarity": Ratio(0, 1)}, unreadable=True)]
    after = [Scored("a", "a", Task.CHAT, {"edit_similarity": Ratio(1, 1)})]
    assert helped(before, after).tasks[Task.CHAT].unreadable == (1, 0)
