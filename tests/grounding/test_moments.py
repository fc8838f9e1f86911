"""Times in an answer that can be jumped to."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_app.grounding.moments import clock, moments


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("At 0:12 a ball falls (until 12:05).", [("0:12", 12), ("12:05", 725)]),
        ("01:02:03 the credits", [("01:02:03", 3723)]),
        ("[00:05.2 - 00:10.0] a dog", [("00:05.2", 5.2), ("00:10.0", 10)]),
        ("0:12-0:15", [("0:12", 12), ("0:15", 15)]),
        ("at 12.5 s, then at 14s", [("12.5 s", 12.5), ("14s", 14)]),
        ("12 seconds in, a cat", [("12 seconds", 12)]),
        ("from 3 to 5 seconds", [("3", 3), ("5 seconds", 5)]),
        ("between 3.5-5.25 s.", [("3.5", 3.5), ("5.25 s", 5.25)]),
        ("<3.0 seconds> a cat", [("3.0 seconds", 3)]),  # how Qwen3-VL is shown times
        ("after 1 min 5 s", [("1 min 5 s", 65)]),
        ("1 minute and 5 seconds", [("1 minute and 5 seconds", 65)]),
        ("at 2 minutes", [("2 minutes", 120)]),
        ("in second 14", [("second 14", 14)]),
        ("1h2m3s", [("1h2m3s", 3723)]),
    ],
)
def test_times_are_found_where_they_stand(text: str, found: list[tuple[str, float]]) -> None:
    assert [(text[one.start : one.end], one.seconds) for one in moments(text)] == found


@pytest.mark.parametrize(
    "text",
    [
        "They won 3-2.",
        "A 16:9 picture, 4:3 before.",
        "The clock shows 8:30 pm.",
        "Genesis 1:234",
        "1920:1080:30",
        "in the 1990s",
        "5 s/frame",
        "It is held for 10 seconds.",
        "12:5",
        "2024-01-02 10:61",
        "",
    ],
)
def test_what_is_no_time_of_the_video_is_left_alone(text: str) -> None:
    assert moments(text) == ()


@given(st.text(alphabet="0123456789:. sminhour-to/at", max_size=200))
def test_any_text_gives_spans_in_order_that_do_not_overlap(text: str) -> None:
    ends = 0
    for one in moments(text):
        assert ends <= one.start < one.end <= len(text)
        assert one.seconds >= 0
        ends = one.end


def test_a_long_text_of_digits_is_read_at_once() -> None:
    begun = time.monotonic()
    moments("1 " * 50_000 + "1:" * 50_000 + "9" * 50_000)
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0:00"), (12.48, "0:12"), (59.9996, "1:00"), (725, "12:05"), (3723, "1:02:03"), (-1, "0:00")],
)
def test_a_time_is_shown_as_a_player_shows_it(seconds: float, shown: str) -> None:
    assert clock(seconds) == shown


def test_what_is_shown_is_found_again() -> None:
    assert [moments(clock(seconds))[0].seconds for seconds in range(0, 9000, 7)] == list(range(0, 9000, 7))
