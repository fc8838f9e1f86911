"""Buckets of requests, with a clock of the test's own."""

from __future__ import annotations

import time

from vlm_app.limits import rates
from vlm_app.limits.rates import Rates


def test_one_key_too_many_is_forgotten_in_no_time() -> None:
    counted = Rates(clock=lambda: 0.0)
    for number in range(rates.MOST):
        counted.wait(str(number), 2)
    began = time.process_time()
    counted.wait("one more", 2)
    assert time.process_time() - began < 0.5


def test_the_longest_silent_are_forgotten_and_the_others_are_not() -> None:
    now = [0.0]
    counted = Rates(clock=lambda: now[0])
    for number in range(rates.MOST + 1):
        now[0] += 0.0001
        counted.wait(str(number), 1)
    assert counted.wait("0", 1) == 0.0
    assert counted.wait(str(rates.MOST), 1) > 0.0
