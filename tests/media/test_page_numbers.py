"""Pages as people write them."""

from __future__ import annotations

import pytest

from vlm_app.errors import BadInput
from vlm_app.media.page_numbers import page_numbers


@pytest.mark.parametrize(
    ("text", "pages"),
    [
        ("", (1, 2, 3, 4, 5, 6, 7, 8, 9)),
        ("  ", (1, 2, 3, 4, 5, 6, 7, 8, 9)),
        ("3", (3,)),
        ("1-3,7", (1, 2, 3, 7)),
        ("1 - 3 , 7", (1, 2, 3, 7)),
        ("1–3", (1, 2, 3)),
        ("7,1-2", (7, 1, 2)),
        ("2,2,1-3", (2, 1, 3)),
        ("8-", (8, 9)),
        ("-2", (1, 2)),
        ("9-9", (9,)),
        ("007", (7,)),
    ],
)
def test_pages_are_chosen_as_they_are_written(text: str, pages: tuple[int, ...]) -> None:
    assert page_numbers(text, 9) == pages


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("all", "Pages are written as '1-3,7', found 'all': give numbers and ranges."),
        ("1,,2", "Pages are written as '1-3,7', found '1,,2': give numbers and ranges."),
        ("-", "Pages are written as '1-3,7', found '-': give numbers and ranges."),
        ("1-2-3", "Pages are written as '1-3,7', found '1-2-3': give numbers and ranges."),
        ("2.5", "Pages are written as '1-3,7', found '2.5': give numbers and ranges."),
        ("1 2", "Pages are written as '1-3,7', found '1 2': give numbers and ranges."),
        ("9" * 5000, f"Pages are written as '1-3,7', found '{'9' * 40}': give numbers and ranges."),
        ("²", "Pages are written as '1-3,7', found '²': give numbers and ranges."),
        ("0", "There is no page 0: the document has pages 1 to 9."),
        ("8-12", "There is no page 12: the document has pages 1 to 9."),
        ("1-999999999", "There is no page 999999999: the document has pages 1 to 9."),
        ("5-2", "The range '5-2' of pages ends before it begins: write '2-5'."),
    ],
)
def test_what_names_no_page_gets_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(BadInput) as caught:
        page_numbers(text, 9)
    assert caught.value.sentence == sentence


def test_a_document_of_one_page_says_so() -> None:
    with pytest.raises(BadInput, match=r"There is no page 2: the document has page 1 alone\."):
        page_numbers("2", 1)
