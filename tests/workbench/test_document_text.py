"""The text that a document's page holds, in the order in which a person reads it."""

from __future__ import annotations

from pathlib import Path

from tests.media.pdf_files import one_page, written
from vlm_app.workbench.bench import Bench

FOOTER = "a line at the foot that goes across the two columns"


def test_lines_come_as_they_are_read_and_not_as_the_file_writes_them(bench: Bench, tmp_path: Path) -> None:
    left = [(20, 150 - 14 * row, f"the left column goes on {row}") for row in range(4)]
    right = [(160, 150 - 14 * row, f"right column goes on {row}") for row in range(4)]
    rows = [line for pair in zip(left, right, strict=True) for line in pair]  # row by row, not by column
    content = written((20, 20, FOOTER), *reversed(rows), (20, 180, "The title of the page"), size=9)
    path = tmp_path / "news.pdf"
    path.write_bytes(one_page(content))
    sheet = bench.open("ada", [(path, "news.pdf")])
    lines = bench.born_digital("ada", sheet.id, "p1")
    columns = [text for _, _, text in (*left, *right)]
    assert [line.text for line in lines] == ["The title of the page", *columns, FOOTER]
