"""In which order located text is read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from vlm_app.grounding.formats.order import reading_order, reading_rows
from vlm_app.types import Box


def column(x: float, wide: float, count: int, top: float = 0.2) -> list[Box]:
    """Lines of prose below each other; the last one is short."""
    widths = [wide] * (count - 1) + [wide / 2]
    return [Box(x, top + 0.04 * n, x + one, top + 0.04 * n + 0.03) for n, one in enumerate(widths)]


def table(*places: tuple[float, float], rows: int = 5) -> list[Box]:
    """Cells (left, right) in rows."""
    return [Box(x0, 0.2 + 0.05 * n, x1, 0.23 + 0.05 * n) for n in range(rows) for x0, x1 in places]


def mixed(boxes: Sequence[Box]) -> tuple[list[int], list[Box]]:
    """The boxes in an order that says nothing, and where each now stands."""
    order = sorted(range(len(boxes)), key=lambda one: hash((boxes[one].x1, boxes[one].y0)))
    return order, [boxes[one] for one in order]


def read(boxes: Sequence[Box]) -> list[int]:
    order, found = mixed(boxes)
    return [order[one] for one in reading_order(found)]


def test_columns_are_read_one_after_the_other_between_a_title_and_a_footer() -> None:
    title, footer = Box(0.1, 0.05, 0.55, 0.1), Box(0.1, 0.9, 0.9, 0.93)
    boxes = [title, *column(0.1, 0.38, 8), *column(0.52, 0.38, 6), footer]
    assert read(boxes) == list(range(len(boxes)))


def test_three_columns_are_read_from_left_to_right() -> None:
    boxes = [*column(0.05, 0.27, 6), *column(0.36, 0.27, 6), *column(0.67, 0.27, 6)]
    assert read(boxes) == list(range(len(boxes)))


def test_a_narrow_title_that_only_just_crosses_the_gutter_stays_above_both_columns() -> None:
    boxes = [Box(0.3, 0.1, 0.7, 0.14), *column(0.1, 0.38, 6), *column(0.52, 0.38, 6)]
    assert read(boxes)[0] == 0 and read(boxes) == list(range(len(boxes)))


def test_rows_of_tables_and_receipts_stay_rows() -> None:
    for cells in (
        table((0.1, 0.3), (0.8, 0.9)),
        table((0.1, 0.25), (0.4, 0.45), (0.6, 0.68), (0.8, 0.9)),
    ):
        assert read(cells) == list(range(len(cells)))
    uneven = [
        Box(box.x0, box.y0, box.x0 + 0.1 + 0.2 * (n % 3), box.y1) for n, box in enumerate(table((0.1, 0.4)))
    ]
    amounts = [Box(0.6, box.y0, 0.7 + 0.08 * (n % 4), box.y1) for n, box in enumerate(uneven)]
    rows = [box for row in zip(uneven, amounts, strict=True) for box in row]
    assert read(rows) == list(range(len(rows)))


def test_an_invoice_with_even_names_and_short_numbers_keeps_its_rows() -> None:
    title, footer = Box(0.05, 0.04, 0.25, 0.06), Box(0.05, 0.9, 0.95, 0.92)
    cells = table((0.05, 0.31), (0.525, 0.58), (0.67, 0.765), rows=10)
    assert reading_rows([title, *cells, footer]) == [
        [0], *([3 * n + 1, 3 * n + 2, 3 * n + 3] for n in range(10)), [31],
    ]  # fmt: skip


def test_what_stands_a_little_lower_beside_a_line_is_in_its_row() -> None:
    boxes = [Box(0.6, 0.1, 0.7, 0.13), Box(0.1, 0.11, 0.3, 0.14), Box(0.1, 0.16, 0.3, 0.19)]
    assert reading_rows(boxes) == [[1, 0], [2]]


def test_nothing_is_in_no_order() -> None:
    assert reading_rows([]) == [] and reading_order([]) == []


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    return Box(x, y, draw(st.floats(x, 1)), draw(st.floats(y, 1)))


@given(st.lists(boxes(), max_size=25))
def test_every_box_is_read_once(found: list[Box]) -> None:
    assert sorted(reading_order(found)) == list(range(len(found)))
    assert all(row for row in reading_rows(found))


def test_the_order_of_a_crowded_page_is_there_at_once() -> None:
    """Four ragged columns of 300 lines, the last of them a table: many places for a gutter to try."""
    random = Random(1)
    boxes = []
    for column in range(4):
        for row in range(300):
            x0, y0 = column / 4, row / 300
            width = 0.22 * (random.uniform(0.1, 1.0) if column == 3 else random.uniform(0.8, 1.0))
            boxes.append(Box(x0, y0, x0 + width, y0 + 0.002))
    begun = time.monotonic()
    assert sorted(reading_order(boxes)) == list(range(1200))
    assert time.monotonic() - begun < 5
