"""Pebble learns to name only what is there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.taught import CAPTIONS, truthful
from tests.finetune.teaching import QUIET
from tests.sizes import TAUGHT_PASSED, TAUGHT_SCENES

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
def test_sixty_pairs_lower_what_captions_invent_by_a_third_and_what_is_there_is_still_named() -> None:
    def learned(seed: int) -> bool:
        found = truthful(CAPTIONS.model_copy(update={"seed": seed}), TAUGHT_SCENES)
        before, after = found["before"], found["after"]
        return bool(after["chair"] <= before["chair"] * 2 / 3 and after["found"] >= before["found"] * 2 / 3)

    assert enough(learned(seed) for seed in SEEDS)
