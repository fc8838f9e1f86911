"""JSON-like objects in answers: what the parsers of all families that answer so have in common."""

from __future__ import annotations

import time

import pytest

from vlm_app.families import Parsed
from vlm_app.families.objects import Found, read_objects, shaped, teller
from vlm_app.families.reading import LONGEST, Reader
from vlm_app.types import Box, Point, Polygon, Task

CAT = '{"bbox_2d": [100, 200, 300, 400], "label": "cat"}'
OPEN = '{"bbox":[1,2],"t":\''
DOG = '{"bbox_2d": [500, 200, 700, 400], "label": "dog"}'


def read(text: str, task: Task = Task.DETECT, query: str = "thing") -> Parsed:
    reader = Reader()
    tell = teller(reader, lambda values: shaped(values, 1000, 1000), (task, query))
    return read_objects(text, reader, tell, end="</s>")


def labels(text: str) -> list[str]:
    return [region.label for region in read(text).regions]


def found(text: str) -> list[Found]:
    told: list[Found] = []
    read_objects(text, Reader(), told.append)
    return told


@pytest.mark.parametrize(
    ("text", "shown", "named"),
    [
        (f"[{CAT}, {DOG}]", "cat, dog", ["cat", "dog"]),
        (f"```json\n[\n\t{CAT},\n\t{DOG}\n]\n```", "cat, dog", ["cat", "dog"]),
        # A trailing comma, as in Qwen2.5-VL's official samples.
        (f"```json\n[\n\t{CAT},\n\t{DOG},\n]\n```", "cat, dog", ["cat", "dog"]),
        # A single object without a list.
        (CAT, "cat", ["cat"]),
        # One object a line, no list and no commas.
        (f"{CAT}\n{DOG}", "cat, dog", ["cat", "dog"]),
        # Several lists.
        (f"[{CAT}]\n[{DOG}]", "cat, dog", ["cat", "dog"]),
        # A doubled brace, closed once (Qwen3-VL's cookbook) and twice.
        (f"[{CAT}, {{\n{DOG}]", "cat, dog", ["cat", "dog"]),
        (f"[{{{CAT}}}, {{{DOG}}}]", "cat, dog", ["cat", "dog"]),
        # Wrapped in an object; the key is the label where there is no other.
        (f'{{"objects": [{CAT}, {DOG}]}}', "cat, dog", ["cat", "dog"]),
        ('{"Crown": {"box_2d": [1, 2, 3, 4]}}', "Crown", ["Crown"]),
        # Python's quotes.
        ("[{'bbox_2d': [1, 2, 3, 4], 'text_content': 'it\\'s'}]", "it's", ["it's"]),
        # Quotes that are not escaped.
        ('{"bbox_2d": [1, 2, 3, 4], "label": "a "red" car"}', 'a "red" car', ['a "red" car']),
        # Truncated in the middle of a number, of a label, behind a comma.
        (f'[{CAT}, {{"bbox_2d": [500, 20', "cat", ["cat"]),
        (f'[{CAT}, {{"bbox_2d": [500, 200, 700, 400], "label": "do', "cat", ["cat"]),
        (f"[{CAT},", "cat", ["cat"]),
        ("```json\n[", "", []),
        # Prose around, with brackets in it.
        (f"In [1]:\n```json\n[{CAT}]\n```\nThat is {{all}}.", "In [1]:\ncat\nThat is {all}.", ["cat"]),
        (f"I see {CAT} and {DOG}, no more.", "I see cat and dog, no more.", ["cat", "dog"]),
        # Drafts in a think block are no regions.
        (f"<think>Maybe {CAT}?</think>\n{DOG}", f"<think>Maybe {CAT}?</think>\ndog", ["dog"]),
        # Non-ASCII, as it stands and escaped.
        ('{"bbox_2d": [0, 614, 224, 825], "name_zh": "米饭", "name_en": "Rice"}', "米饭", ["米饭"]),
        ('{"bbox_2d": [1, 2, 3, 4], "label": "caf\\u00e9"}', "café", ["café"]),
        # Objects and lists that hold no place are prose.
        ('Use {"a": 1} and [1, 2].', 'Use {"a": 1} and [1, 2].', []),
        ('```json\n{"a": 1}\n```\nDone.', '```json\n{"a": 1}\n```\nDone.', []),
        ("```python\nx = [1]\n```", "```python\nx = [1]\n```", []),
        # A broken object between good ones.
        (f'[{CAT}, {{"bbox_2d": [1, 2, oops], "label": "x"}}, {DOG}]', None, ["cat", "dog"]),
        (f'[{CAT}, {{"bbox_2d": [1, 2, 3], "label": "x"}}, {DOG}]', "cat, x, dog", ["cat", "dog"]),
        # What comes behind the end is not read.
        (f"{CAT}</s>{DOG}", "cat", ["cat"]),
        ("", "", []),
    ],
)  # fmt: skip
def test_objects_are_found_however_they_are_written(text: str, shown: str | None, named: list[str]) -> None:
    parsed = read(text)
    assert [region.label for region in parsed.regions] == named
    if shown is not None:
        assert parsed.text == shown
        assert all(
            parsed.text[slice(*region.span)] == region.label for region in parsed.regions if region.span
        )


def test_a_region_is_there_as_soon_as_its_object_is_closed() -> None:
    text = f"Here:\n```json\n[\n\t{CAT},\n\t{DOG}\n]\n```\nDone."
    shown = {read(text[:cut]).text for cut in range(len(text) + 1)}
    assert not any(set("[]{}`") & set(piece) for piece in shown)
    assert len(read(text[: text.index("dog")]).regions) == 1


def test_many_objects_are_found_one_by_one() -> None:
    text = '{"objects": [' + ", ".join([CAT] * 200) + "]}"
    assert len(text) > 2 * LONGEST
    assert len(read(text).regions) == len(read(text[:-2]).regions) == 200


def test_an_object_whose_text_is_a_long_table_is_found_and_not_shown_before() -> None:
    table = "<table>" + "<tr><td>North</td><td>21</td></tr>" * 300 + "</table>"
    text = f'[{CAT}, {{"bbox": [1, 2, 3, 4], "category": "Table", "text": "{table}"}}, {DOG}]'
    assert len(table) > 4 * LONGEST
    assert [region.text for region in read(text, Task.OCR_REGIONS).regions] == ["cat", table, "dog"]
    assert all(
        read(text[:cut]).text == "cat" for cut in range(text.index("<table>"), text.index('"}, '), 500)
    )


def test_a_place_without_end_is_prose_at_last() -> None:
    assert read('{"bbox": [1, 2, 3, 4], "text": "' + "word " * 3000).text == ""
    assert read('{"bbox": [1, 2, 3, 4], "text": "' + "word " * 5000).text.startswith('{"bbox"')


def test_a_bracket_that_nobody_closes_is_prose_at_last() -> None:
    assert read('["a", ' + '"b", ' * 10).text == ""
    long = '["a", ' + '"b", ' * LONGEST
    assert read(long).text.startswith('["a", "b"')


def test_brackets_without_end_take_no_time() -> None:
    started = time.monotonic()
    for scrap in ("[", "{", '{"a":', "[1,", "```", '{"bbox_2d": [', "[{", '["', OPEN):
        read(scrap * 5000)
    assert time.monotonic() - started < 20


def test_corners_are_put_right_and_places_off_the_image_dropped() -> None:
    (swapped,) = read('{"bbox_2d": [300, 400, 100, 200]}').regions
    assert swapped.shape == Box(0.1, 0.2, 0.3, 0.4) and swapped.label == "thing"
    (over,) = read('{"bbox_2d": [-5, 0, 1004, 500]}').regions
    assert over.shape == Box(0, 0, 1, 0.5)
    far = read('[{"bbox_2d": [0, 0, 5000, 500], "label": "far"}]')
    assert far == Parsed("far")


def test_places_come_in_several_forms() -> None:
    assert read('{"point_2d": [925, 618], "label": "point_1"}').regions[0].shape == Point(0.925, 0.618)
    assert found('{"bbox": "80 28 220 115"}')[0].places == ((80, 28, 220, 115),)
    assert found('{"bbox_2d": [[1, 2], [3, 4]]}')[0].places == ((1, 2, 3, 4),)
    assert found('{"bbox_2d": [[1, 2, 3, 4], [5, 6, 7, 8]]}')[0].places == ((1, 2, 3, 4), (5, 6, 7, 8))
    assert found('{"point_2d": [[1, 2], [3, 4]]}')[0].places == ((1, 2), (3, 4))
    assert isinstance(shaped([0, 0, 9, 0, 9, 9], 10, 10), Polygon)


@pytest.mark.parametrize("key", ["label", "text_content", "content", "name", "category", "class", "fruit"])
def test_a_label_may_stand_under_any_key(key: str) -> None:
    assert labels(f'{{"{key}": "kiwi", "bbox_2d": [1, 2, 3, 4]}}') == ["kiwi"]


def test_what_is_written_in_the_image_is_told_apart_from_the_label() -> None:
    (block,) = found('{"bbox": [1, 2, 3, 4], "category": "Title", "text": "Hello"}')
    assert (block.label, block.text) == ("Title", "Hello")
    (line,) = read('{"bbox_2d": [1, 2, 3, 4], "label": "Hello"}', Task.OCR_REGIONS).regions
    assert line.text == "Hello"
