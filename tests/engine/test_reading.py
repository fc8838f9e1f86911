"""Reading an answer while it grows."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vlm_app import families
from vlm_app.catalog import catalog
from vlm_app.engine import reading
from vlm_app.engine.reading import Reading
from vlm_app.types import Delta, Finish, Request, Role, Task, Timings, Turn, Usage


class Clock:
    """Time that passes when it is told to."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(reading, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


@pytest.fixture
def growing() -> Reading:
    row = catalog()["pebble"]
    return Reading(Request((Turn(Role.USER, ("Hello?",)),), row.id), row, families.get(row.family))


def test_a_page_gets_the_first_words_at_once_and_the_next_a_moment_later(
    growing: Reading, clock: Clock
) -> None:
    growing.raw = "One"
    assert growing.delta().text == "One"
    growing.raw = "One two"
    assert growing.delta() == Delta()
    growing.raw = "One two three"
    clock.now += 0.1
    assert growing.delta().text == " two three"


def test_what_was_held_back_comes_though_nothing_more_is_written(growing: Reading, clock: Clock) -> None:
    growing.raw = "One"
    growing.delta()
    growing.raw = "One two"
    assert growing.delta() == Delta()
    clock.now += 0.1
    assert growing.delta().text == " two"
    clock.now += 0.1
    assert growing.delta() == Delta()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("```json\n[]\n```", "Total: 0."),
        ("[]", "Total: 0."),
        ("```json\n[]\n```\nThere is no cat.", "```json\n[]\n```\nThere is no cat. Total: 0."),
        ("I looked:\n```json\n[]\n```", "I looked:\n```json\n[]\n```\n\nTotal: 0."),
        ('```json\n[{"point_2d": [5, 5], "label": "cat"}]\n```', "cat. Total: 1."),
    ],
)
def test_a_count_of_nothing_shows_no_empty_list_and_closes_its_fence(
    raw: str, text: str, clock: Clock
) -> None:
    row = catalog()["pebble"]
    asked = Request((Turn(Role.USER, ("cats",)),), row.id, task=Task.COUNT, query="cats")
    growing = Reading(asked, row, families.get("qwen3_vl"))
    shown = ""
    for letter in raw:
        clock.now += 1
        growing.raw += letter
        shown += growing.delta().text
    growing.raw, growing.finish = f"{raw}<|im_end|>", Finish.STOP
    shown += growing.delta(whole=True).text
    assert shown == growing.answer(Usage(), Timings()).text == text


def test_the_end_is_read_at_once(growing: Reading, clock: Clock) -> None:
    growing.raw = "One"
    growing.delta()
    growing.raw = "One two"
    assert growing.delta(whole=True).text == " two"
