"""What a user meets who corrects a finding: whose regions are, phrases that stay linked, two tabs."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chat.fake_engine import FakeEngine
from tests.workbench.conftest import Files
from vlm_app.errors import BadInput, NotFound
from vlm_app.grounding.moved import Moved
from vlm_app.types import PERSON, Box, Mask, Point, Polygon, Region, Task
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding, Mark, Question

OWNER = "ada"
BOX = Box(0.1, 0.1, 0.4, 0.4)
OTHER = Box(0.5, 0.5, 0.75, 0.75)
LINES = ("INVOICE", "Total 12.50")


@pytest.fixture
def finding(bench: Bench, engine: FakeEngine, images: Callable[..., Files]) -> Finding:
    """Two lines that a model read off an image, as it wrote them: 'INVOICE', 'Total 12.50'."""
    engine.words = ["INVOICE", "\nTotal 12.50"]
    engine.regions = ()
    sheet = bench.open(OWNER, images("red"))

    def whole(*args: object) -> object:
        regions = (
            Region("text", BOX, text=LINES[0], score=0.9, span=(0, 7)),
            Region("text", OTHER, text=LINES[1], score=0.8, span=(8, 19)),
        )
        return replace(FakeEngine.whole(engine, *args), regions=regions)

    engine.whole = whole
    *_, step = bench.ask(OWNER, sheet.id, ["i0"], Question(Task.OCR_REGIONS, model="able"))
    assert step.finding is not None
    assert step.finding.text == "INVOICE\nTotal 12.50"
    return step.finding


def with_region(mark: Mark, **changes: object) -> Mark:
    return replace(mark, region=replace(mark.region, **changes))


def linked(finding: Finding) -> list[str | None]:
    """The phrase of each mark."""
    return [finding.text[slice(*mark.region.span)] if mark.region.span else None for mark in finding.marks]


# --- regions ------------------------------------------------------------------------------


def test_a_moved_box_stays_the_models_and_is_marked_as_edited(bench: Bench, finding: Finding) -> None:
    first, second = finding.marks
    after = bench.edit(OWNER, finding.id, marks=[with_region(first, shape=OTHER), second])
    assert [(mark.id, mark.maker, mark.edited) for mark in after.marks] == [
        (first.id, "able", True),
        (second.id, "able", False),
    ]
    assert after.marks[0].region.shape == OTHER
    assert after.corrected
    assert linked(after) == [*LINES]
    assert after.answer == finding.answer
    assert bench.finding(OWNER, finding.id) == after


def test_a_new_region_is_the_persons_and_gets_an_id(bench: Bench, finding: Finding) -> None:
    drawn = Mark("new-1", Region("stamp", Point(0.5, 0.5), span=(3, 5)))
    after = bench.edit(OWNER, finding.id, marks=[*finding.marks, drawn])
    mark = after.marks[-1]
    assert (mark.maker, mark.edited, mark.region.label, mark.region.span) == (PERSON, False, "stamp", None)
    assert mark.id not in ("new-1", *(each.id for each in finding.marks))
    assert after.corrected


def test_the_same_edit_twice_changes_nothing(bench: Bench, finding: Finding) -> None:
    drawn = Mark("new-1", Region("stamp", Point(0.5, 0.5)))
    marks = [with_region(finding.marks[0], label="title"), drawn]
    once = bench.edit(OWNER, finding.id, marks=marks)
    assert bench.edit(OWNER, finding.id, marks=marks) == once  # the page does not know the new id yet
    assert bench.edit(OWNER, finding.id, marks=once.marks, text=once.text) == once


def test_a_new_region_that_is_moved_before_the_page_knows_its_id_is_one_region(
    bench: Bench, finding: Finding
) -> None:
    for x in (0.1, 0.2, 0.3):
        drawn = Mark("new-1", Region("stamp", Point(x, 0.5)))
        after = bench.edit(OWNER, finding.id, marks=[*finding.marks, drawn])
    assert [mark.maker for mark in after.marks] == ["able", "able", PERSON]
    assert after.marks[-1].region.shape == Point(0.3, 0.5)


def test_a_deleted_region_is_gone_and_can_be_undone(bench: Bench, finding: Finding) -> None:
    after = bench.edit(OWNER, finding.id, marks=finding.marks[1:])
    assert [mark.id for mark in after.marks] == [finding.marks[1].id]
    assert after.corrected


def test_what_is_undone_was_never_edited(bench: Bench, finding: Finding) -> None:
    first, second = finding.marks
    bench.edit(
        OWNER, finding.id, marks=[with_region(first, label="title", shape=OTHER), second], text="other"
    )
    after = bench.edit(OWNER, finding.id, marks=finding.marks, text=finding.text)
    assert after.marks == finding.marks
    assert (after.corrected, after.text) == (False, finding.text)


def test_a_hundredth_of_a_pixel_that_is_lost_on_the_page_is_no_edit(bench: Bench, finding: Finding) -> None:
    first, second = finding.marks
    nearly = with_region(first, shape=Box(0.1000001, 0.1, 0.4, 0.3999999), span=None, score=None)
    assert bench.edit(OWNER, finding.id, marks=[nearly, second]) == finding


@pytest.mark.parametrize(
    "shape",
    [
        Polygon((Point(0, 0), Point(1, 0), Point(0, 1))),
        Polygon((Point(0, 0), Point(1, 0), Point(1, 1), Point(0, 1))),
        Mask(BOX, (2, 1), b"\x00\x01"),
        Point(0.1, 0.1),
    ],
)
def test_a_region_may_become_another_shape(
    bench: Bench, finding: Finding, shape: Polygon | Mask | Point
) -> None:
    first, second = finding.marks
    after = bench.edit(OWNER, finding.id, marks=[with_region(first, shape=shape), second])
    assert after.marks[0].region.shape == shape
    assert after.marks[0].edited


def test_what_a_page_claims_about_makers_does_not_count(bench: Bench, finding: Finding) -> None:
    claimed = [replace(mark, maker=PERSON, edited=True) for mark in finding.marks]
    assert bench.edit(OWNER, finding.id, marks=claimed) == finding


def test_marks_that_cannot_be_are_refused(bench: Bench, finding: Finding) -> None:
    first, second = finding.marks
    with pytest.raises(BadInput, match="same id"):
        bench.edit(OWNER, finding.id, marks=[first, first])
    with pytest.raises(BadInput, match="found page 6"):
        bench.edit(OWNER, finding.id, marks=[with_region(first, image=5), second])
    assert bench.finding(OWNER, finding.id) == finding


def test_another_owner_cannot_edit_or_forget(bench: Bench, finding: Finding) -> None:
    with pytest.raises(NotFound):
        bench.edit("bob", finding.id, text="his")
    with pytest.raises(NotFound):
        bench.forget("bob", finding.id)
    with pytest.raises(NotFound):
        bench.result("bob", finding.id)
    assert bench.finding(OWNER, finding.id) == finding


# --- text ---------------------------------------------------------------------------------


def test_correcting_a_line_corrects_the_text_and_keeps_the_link(bench: Bench, finding: Finding) -> None:
    first, second = finding.marks
    after = bench.edit(OWNER, finding.id, marks=[first, with_region(second, text="Total 12.80 EUR")])
    assert after.text == "INVOICE\nTotal 12.80 EUR"
    assert linked(after) == ["INVOICE", "Total 12.80 EUR"]
    assert after.marks[1].edited
    back = bench.edit(OWNER, finding.id, marks=finding.marks)
    assert back.text == finding.text
    assert back.marks == finding.marks


def test_phrases_stay_linked_when_the_text_is_corrected(bench: Bench, finding: Finding) -> None:
    after = bench.edit(OWNER, finding.id, text="The INVOICE\nTotal 12.51")
    assert linked(after) == ["INVOICE", "Total 12.51"]
    assert [mark.edited for mark in after.marks] == [False, False]
    assert after.corrected
    gone = bench.edit(OWNER, finding.id, text="Total 12.50")
    assert linked(gone) == [None, "Total 12.50"]
    assert bench.edit(OWNER, finding.id, text=finding.text).marks == finding.marks


def test_half_a_character_is_kept_as_a_question_mark(bench: Bench, finding: Finding) -> None:
    drawn = Mark("new-1", Region("a\ud800", BOX, text="b\udc00"))
    after = bench.edit(OWNER, finding.id, marks=[drawn], text="c\ud800")
    assert (after.text, after.marks[0].region.label, after.marks[0].region.text) == ("c?", "a?", "b?")


@pytest.mark.parametrize(
    ("before", "after", "span", "expected"),
    [
        ("a red circle", "a red circle", (2, 12), "red circle"),
        ("a red circle", "see a red circle!", (2, 12), "red circle"),
        ("a red circl on white", "a red circle on white", (2, 11), "red circle"),
        ("red, red, red", "red, blue, red", (5, 8), "blue"),
        ("red, red, red", "red, blue, red", (10, 13), "red"),
        ("a red circle", "a blue square there", (0, 1), "a"),
        ("one two three", "one three", (4, 7), None),
        ("one two three", "", (4, 7), None),
        ("one\ntwo\nthree", "one\n2\nthree", (4, 7), "2"),
        ("ab", "aXb", (0, 1), "a"),
        ("ab", "aXb", (1, 2), "b"),
    ],
)
def test_a_phrase_is_found_again_in_a_corrected_text(
    before: str, after: str, span: tuple[int, int], expected: str | None
) -> None:
    found = Moved(before, after).span(span)
    assert (None if found is None else after[slice(*found)]) == expected


WORDS = st.lists(st.sampled_from(["a", "red", "circle", "\n", " ", "é", "12.5"]), max_size=12).map("".join)


@given(WORDS, WORDS, st.integers(0, 30), st.integers(0, 30))
def test_a_span_never_leaves_its_text(before: str, after: str, one: int, other: int) -> None:
    start, end = sorted((min(one, len(before)), min(other, len(before))))
    found = Moved(before, after).span((start, end))
    assert found is None or 0 <= found[0] < found[1] <= len(after)
    if before == after and start < end:
        assert found == (start, end)


def test_a_long_text_is_corrected_at_once() -> None:
    import time

    before = " ".join(f"word{number}" for number in range(60_000))
    after = "X" + before[1:-1] + "Y"
    began = time.perf_counter()
    moved = Moved(before, after)
    assert time.perf_counter() - began < 2.0
    assert moved.span((0, len(before))) == (0, len(after))


# --- two tabs -----------------------------------------------------------------------------


def test_an_edit_of_an_older_state_is_refused_and_loses_nothing(bench: Bench, finding: Finding) -> None:
    first, second = finding.marks
    here = bench.edit(
        OWNER, finding.id, marks=[with_region(first, label="title"), second], since=finding.updated
    )
    with pytest.raises(BadInput, match=r"changed in another tab.*reload"):
        bench.edit(OWNER, finding.id, marks=[first], since=finding.updated)
    assert bench.finding(OWNER, finding.id) == here
    again = bench.edit(OWNER, finding.id, text="corrected", since=here.updated)
    assert again.updated > here.updated > finding.updated


def test_of_two_edits_at_once_one_is_kept_whole_and_the_other_told(bench: Bench, finding: Finding) -> None:
    def edit(number: int) -> str:
        marks = [with_region(mark, label=f"tab {number}") for mark in finding.marks]
        try:
            bench.edit(OWNER, finding.id, marks=marks, text=f"tab {number}", since=finding.updated)
        except BadInput:
            return "told"
        return "kept"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(edit, range(4))) == ["kept", "told", "told", "told"]
    kept = bench.finding(OWNER, finding.id)
    assert {mark.region.label for mark in kept.marks} == {kept.text}


def test_an_edit_that_brings_nothing_new_is_never_refused(bench: Bench, finding: Finding) -> None:
    after = bench.edit(OWNER, finding.id, text="corrected")
    assert bench.edit(OWNER, finding.id, text="corrected", since=finding.updated) == after


# --- export -------------------------------------------------------------------------------


def test_what_was_corrected_is_what_is_exported(bench: Bench, finding: Finding, tmp_path: Path) -> None:
    from vlm_app.grounding.formats import FORMATS, exported, imported

    first, second = finding.marks
    drawn = Mark("new-1", Region("stamp", Box(0.2, 0.2, 0.3, 0.3)))
    bench.edit(OWNER, finding.id, marks=[first, with_region(second, text="Total 12.80"), drawn])
    result = bench.result(OWNER, finding.id)
    again = imported(exported(result, "json"), "json")
    assert again.regions == result.regions
    assert again.text == "INVOICE\nTotal 12.80"
    assert again.images[0].name == "red.png"
    for name in FORMATS:
        assert exported(result, name)


# --- findings of one's own ----------------------------------------------------------------


def test_regions_can_be_drawn_where_no_model_was_asked(bench: Bench, images: Callable[..., Files]) -> None:
    sheet = bench.open(OWNER, images("red", "green"))
    empty = bench.begin(OWNER, sheet.id, ["i1"], Question(Task.DETECT))
    assert (empty.marks, empty.text, empty.pages, empty.corrected) == ((), "", ("i1",), False)
    drawn = bench.edit(OWNER, empty.id, marks=[Mark("new-1", Region("cat", BOX))], since=empty.updated)
    assert [(mark.region.label, mark.maker) for mark in drawn.marks] == [("cat", PERSON)]
    result = bench.result(OWNER, drawn.id)
    assert ([image.name for image in result.images], result.regions) == (["green.png"], drawn.regions)
    with pytest.raises(NotFound):
        bench.begin("bob", sheet.id, ["i1"], Question(Task.DETECT))


def test_thousands_of_new_regions_keep_nobody_waiting(bench: Bench, finding: Finding) -> None:
    """The database is locked meanwhile. Two thousand are replaced by two thousand that are nearly there."""

    def drawn(name: str, at: float) -> list[Mark]:
        return [
            Mark(f"new-{name}{n}", Region("dot", Point(n / 2000, at))) for n in range(2000)
        ]  # fmt: skip

    bench.edit(OWNER, finding.id, marks=drawn("a", 0.5))
    begun = time.thread_time()
    kept = bench.edit(OWNER, finding.id, marks=drawn("b", 0.6))
    assert len(kept.marks) == 2000
    assert time.thread_time() - begun < 3
