"""Gemini and dots.ocr, which answer in JSON from elsewhere: y first, and pixels of what was seen."""

from __future__ import annotations

import pytest

from tests.families.places import places, read
from vlm_app import families
from vlm_app.types import Box, Region, Task

ANSWERS: list[tuple[str, str, str, list[tuple[str, tuple[float, ...]]]]] = [
    # supervision's example of Gemini's detections: y before x, and a key of its own.
    (
        "gemini",
        '```json\n[\n  {"box_2d": [543, 40, 728, 200], "label": "cat", "id": 1},\n'
        '  {"box_2d": [653, 352, 820, 522], "label": "dog", "id": 2}\n]\n```',
        "cat, dog",
        [("cat", (0.04, 0.543, 0.2, 0.728)), ("dog", (0.352, 0.653, 0.522, 0.82))],
    ),
    # The form of Gemini Robotics-ER's documentation, numbers made up.
    ("gemini", '[{"point": [376, 508], "label": "pen"}]', "pen", [("pen", (0.508, 0.376))]),
    # dots.ocr, an answer about a driving licence that a user kept in a test of a parser (shortened): a
    # picture has a category alone, other blocks have text, and the text has escaped line breaks.
    (
        "dots_ocr",
        '[{"bbox": [80, 28, 220, 115], "category": "Picture"}, {"bbox": [309, 52, 873, 104], '
        '"category": "Section-header", "text": "ВОДИТЕЛЬСКОЕ УДОСТОВЕРЕНИЕ"}, {"bbox": [333, 129, 575, 181], '
        '"category": "List-item", "text": "1. ВАКАРИНЦЕВ\\n VAKARINTSEV"}]',
        "Picture, ВОДИТЕЛЬСКОЕ УДОСТОВЕРЕНИЕ, 1. ВАКАРИНЦЕВ\n VAKARINTSEV",
        [
            ("Picture", (0.08, 0.056, 0.22, 0.23)),
            ("ВОДИТЕЛЬСКОЕ УДОСТОВЕРЕНИЕ", (0.309, 0.104, 0.873, 0.208)),
            ("1. ВАКАРИНЦЕВ\n VAKARINTSEV", (0.333, 0.258, 0.575, 0.362)),
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "shown", "expected"), ANSWERS)
def test_documented_answers_are_read(
    name: str, text: str, shown: str, expected: list[tuple[str, tuple[float, ...]]]
) -> None:
    assert read(name, text).text == shown
    assert places(name, text) == expected


def test_a_page_s_words_are_told() -> None:
    text = '[{"bbox": [1, 2, 300, 400], "category": "Text", "text": "Hello"}]'
    (block,) = read("dots_ocr", text, Task.OCR_REGIONS).regions
    assert block.text == "Hello"


def test_gemini_writes_y_first() -> None:
    regions = [Region("cat", Box(0.1, 0.2, 0.3, 0.4))]
    written = families.get("gemini").write(regions, image_size=(1000, 500))
    assert '"box_2d": [200, 100, 400, 300]' in written


def test_both_are_asked_in_their_documented_words() -> None:
    assert families.get("gemini").ask(Task.DETECT) == (
        "Detect the all of the prominent items in the image. "
        "The box_2d should be [ymin, xmin, ymax, xmax] normalized to 0-1000."
    )
    assert families.get("dots_ocr").ask(Task.OCR) == "Extract the text content from this image."


@pytest.mark.parametrize(
    ("size", "sent"),
    [
        ((1000, 500), (1008, 504)),
        ((8000, 4000), (4732, 2352)),  # at most 11,289,600 pixels
        ((20, 30), (56, 84)),  # at least 3,136
    ],
)
def test_dots_ocr_gets_an_image_in_the_size_that_its_pixels_are_of(
    size: tuple[int, int], sent: tuple[int, int]
) -> None:
    # `smart_resize` of dots_ocr/utils/image_utils.py gives these sizes, and leaves them as they are.
    assert families.get("dots_ocr").sent_size(size) == sent
    assert families.get("dots_ocr").sent_size(sent) == sent
