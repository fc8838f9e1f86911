"""Lines become a text that can be read: rows, paragraphs, columns."""

from __future__ import annotations

from vlm_app.ocr.layout import laid_out
from vlm_app.ocr.reader import Line, Read
from vlm_app.types import Box, Point, Polygon


def line(text: str, x: float, y: float, wide: float = 0.2, high: float = 0.02) -> Line:
    box = Box(x, y, x + wide, y + high)
    corners = ((box.x0, box.y0), (box.x1, box.y0), (box.x1, box.y1), (box.x0, box.y1))
    return Line(text, 0.9, Polygon(tuple(Point(*corner) for corner in corners)), box)


def text_of(*lines: Line) -> str:
    return laid_out(Read(lines, (100, 100), ()))[0]


def test_the_price_stays_with_its_article_and_a_row_of_a_table_is_one_line() -> None:
    rows = [("Tea", "2.80"), ("Cake", "4.10"), ("Total", "6.90")]
    lines = [
        line(cell, 0.1 + 0.6 * at, 0.1 + 0.03 * number + 0.004 * at, 0.1)
        for number, row in enumerate(rows)
        for at, cell in enumerate(row)
    ]
    assert text_of(*reversed(lines)) == "Tea  2.80\nCake  4.10\nTotal  6.90"


def test_paragraphs_and_columns_are_parted_by_an_empty_line() -> None:
    left = [line(f"left {n}", 0.1, 0.2 + 0.03 * n, 0.35) for n in range(4)]
    right = [line(f"right {n}", 0.55, 0.2 + 0.03 * n, 0.35) for n in range(4)]
    title = line("A title over both", 0.1, 0.1, 0.6, 0.03)
    assert text_of(*right, *left, title) == (
        "A title over both\n\nleft 0\nleft 1\nleft 2\nleft 3\n\nright 0\nright 1\nright 2\nright 3"
    )


def test_double_spaced_lines_are_not_paragraphs() -> None:
    assert text_of(*(line(str(n), 0.1, 0.1 + 0.05 * n) for n in range(3))) == "0\n1\n2"


def test_each_region_points_at_its_words() -> None:
    text, regions = laid_out(
        Read((line("one", 0.1, 0.1), line("two", 0.6, 0.1), line("three", 0.1, 0.5)), (9, 9), ()), 2, 10
    )
    assert text == "one  two\n\nthree"
    assert [(" " * 10 + text)[slice(*region.span or ())] for region in regions] == ["one", "two", "three"]
    assert {region.image for region in regions} == {2} and regions[0].kind == "polygon"
    assert regions[0].score == 0.9 and regions[0].text == regions[0].label == "one"


def test_no_line_is_no_text() -> None:
    assert laid_out(Read((), (9, 9), ())) == ("", ())
