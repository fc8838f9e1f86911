"""A second opinion on a reading: where it differs, in the text and on the page."""

from __future__ import annotations

import time
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vlm_app.ocr import differences as differing_texts
from vlm_app.ocr.differences import differences, differing
from vlm_app.types import Box, Region

WORDS = st.lists(st.sampled_from("a b Total total 12.50 – x".split()), max_size=12)


def marked(one: str, other: str) -> list[tuple[str, str]]:
    return [(one[d.start : d.end], other[d.other_start : d.other_end]) for d in differences(one, other)]


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ("Total EUR 12.50", "Total EUR 12.80", [("12.50", "12.80")]),
        ("Total  EUR\n12.50", "Total EUR 12.50", []),  # white space does not matter
        ("total EUR", "Total EUR", [("total", "Total")]),  # case does
        ("it’s ‘so’ – “well”", "it's 'so' - \"well\"", []),  # which quote or dash does not
        ("ﬁne １２", "fine 12", []),  # nor how Unicode writes it
        ("TotalEUR", "Total EUR", [("TotalEUR", "Total EUR")]),
        ("a b c", "a c", [("b", "")]),
        ("a c", "a b c", [("", "b")]),
        ("", "a b", [("", "a b")]),
        ("one two three", "one 2 3 three", [("two", "2 3")]),
        ("", "", []),
    ],
)
def test_words_that_differ_are_marked(one: str, other: str, found: list[tuple[str, str]]) -> None:
    assert marked(one, other) == found


@given(WORDS, WORDS)
def test_what_is_not_marked_is_the_same_and_spans_rise(one: list[str], other: list[str]) -> None:
    mine, theirs = " ".join(one), " \n".join(other)
    found = differences(mine, theirs)
    kept_mine, kept_theirs = mine, theirs
    for each in reversed(found):
        assert 0 <= each.start <= each.end <= len(mine) and 0 <= each.other_start <= each.other_end <= len(
            theirs
        )
        kept_mine = kept_mine[: each.start] + kept_mine[each.end :]
        kept_theirs = kept_theirs[: each.other_start] + kept_theirs[each.other_end :]
    assert kept_mine.split() == kept_theirs.split()
    assert [each.start for each in found] == sorted(each.start for each in found)


def test_two_readings_of_a_long_document_are_compared_in_seconds() -> None:
    """200 pages of 400 words, most of them common ones, every twentieth misread."""
    random = Random(2)
    words = [f"w{number}" for number in range(20_000)]
    often = [1 / (number + 1) for number in range(len(words))]
    mine = random.choices(words, often, k=80_000)
    theirs = [f"x{at}" if at % 20 == 7 else word for at, word in enumerate(mine)]
    begun = time.monotonic()
    found = {other for _, others in marked(" ".join(mine), " ".join(theirs)) for other in others.split()}
    assert time.monotonic() - begun < 10
    wrong = {f"x{at}" for at in range(7, 80_000, 20)}
    assert wrong <= found and len(found - wrong) < 0.02 * len(wrong)


def test_a_table_of_the_same_words_is_compared_in_a_moment_and_its_own_words_stay() -> None:
    cells = ["0"] * 900
    begun = time.monotonic()
    found = marked(" ".join(cells), " ".join(f"| {cell}" for cell in cells))
    assert time.monotonic() - begun < 2
    assert found == [("", "|")] * 900


@pytest.mark.parametrize("largest", [200_000_000, 0])
def test_texts_of_few_words_again_and_again_are_compared_in_a_moment(
    largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(differing_texts, "_LARGEST", largest)
    begun = time.monotonic()
    assert differences("a " * 1999, "a b " * 999)
    assert time.monotonic() - begun < 2


@given(WORDS, WORDS)
def test_of_repeated_words_as_many_are_the_same_as_can_be(one: list[str], other: list[str]) -> None:
    longest = [[0] * (len(other) + 1)]
    for word in one:
        above, row = longest[-1], [0]
        for at, theirs in enumerate(other):
            row.append(above[at] + 1 if word == theirs else max(above[at + 1], row[-1]))
        longest.append(row)
    pairs = differing_texts._shared(one, other)
    assert len(pairs) == longest[-1][-1] and all(one[a] == other[b] for a, b in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


def test_words_that_changed_their_places_are_no_anchors() -> None:
    mine = [f"w{number}" for number in range(3000)]
    theirs = [*mine[1500:], *mine[:1500]]
    found = differences(" ".join(mine), " ".join(theirs))
    assert len(found) == 2


def region(text: str, x: float, y: float = 0.1, wide: float = 0.1, image: int = 0) -> Region:
    return Region(text, Box(x, y, x + wide, y + 0.05), image=image, text=text)


def test_a_line_agrees_with_the_words_that_stand_on_it() -> None:
    line = [region("Total EUR 12.50", 0.1, wide=0.5)]
    words = [region("EUR", 0.25), region("Total", 0.1), region("12.50", 0.4, wide=0.2)]
    assert differing(line, words) == differing(words, line) == frozenset()
    wrong = [region("EUR", 0.25), region("Total", 0.1), region("12.80", 0.4, wide=0.2)]
    assert differing(line, wrong) == {0} and differing(wrong, line) == {2}


def test_what_the_other_has_not_seen_differs_also_on_another_image() -> None:
    mine = [region("here", 0.1), region("there", 0.5), region("", 0.8)]
    assert differing(mine, [region("here", 0.1)]) == {1}
    assert differing(mine, [region("here", 0.1, image=1)]) == {0, 1}
    assert differing([], mine) == frozenset()
