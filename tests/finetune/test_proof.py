"""Pebble learns a shape that it has never seen, a word that it never wrote, and to name what is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.taught import CAPTIONS, HEART, WORDS, heart, truthful, words
from tests.finetune.teaching import QUIET
from tests.sizes import (
    HEART_F1,
    HEART_FALL,
    HEART_OLD,
    HEART_REHEARSAL,
    HEART_ROUNDS,
    HEART_SCENES,
    TAUGHT_PASSED,
    TAUGHT_SCENES,
    WORD_REHEARSAL,
    WORD_STEPS,
)

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]
SEEDS = (0, 1, 2)


def enough(passed: Iterator[bool]) -> bool:
    """Whether as many seeds pass as have to; no more of them are tried than that takes."""
    count = 0
    for good in passed:
        count += good
        if count == TAUGHT_PASSED:
            return True
    return False


@pytest.mark.timeout(3600)
def test_forty_examples_teach_a_new_shape_and_what_pebble_knew_stays() -> None:
    def learned(seed: int) -> bool:
        settings = {"seed": seed, "epochs": HEART_ROUNDS, "rehearsal": HEART_REHEARSAL}
        found = heart(HEART.model_copy(update=settings), HEART_SCENES, HEART_OLD)
        before, after = found["before"], found["after"]
        assert before["f1"] < 0.2
        fallen = before["old"][""] - after["old"][""]
        return bool(after["f1"] >= HEART_F1 / 100 and fallen <= HEART_FALL / 100)

    assert enough(learned(seed) for seed in SEEDS)


@pytest.mark.timeout(600)
def test_three_corrections_teach_a_word_that_pebble_never_wrote() -> None:
    settings = {"steps": WORD_STEPS, "rehearsal": WORD_REHEARSAL}
    found = words(WORDS.model_copy(update=settings), HEART_OLD)
    before, after = found["before"], found["after"]
    assert (before["corrected"], before["others"]) == (0, 0)
    assert after["corrected"] == 1 and after["others"] >= 0.5
    assert after["old"][""] >= before["old"][""] - 0.06


@pytest.mark.timeout(3600)
def test_sixty_pairs_lower_what_captions_invent_by_a_third_and_what_is_there_is_still_named() -> None:
    def learned(seed: int) -> bool:
        found = truthful(CAPTIONS.model_copy(update={"seed": seed}), TAUGHT_SCENES)
        before, after = found["before"], found["after"]
        return bool(after["chair"] <= before["chair"] * 2 / 3 and after["found"] >= before["found"] * 2 / 3)

    assert enough(learned(seed) for seed in SEEDS)
