"""What holds for the parser of every family, whatever a model writes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.families import checkpoints
from tests.sizes import FUZZED_ANSWERS
from vlm_app import families
from vlm_app.families import Parsed, Size
from vlm_app.types import Box, Point, Region, Role, Task, Turn

SIZES: list[Size] = [(400, 400), (900, 300), (250, 700)]  # square, wide, tall
PLACING = (Task.DETECT, Task.GROUND, Task.POINT, Task.OCR_REGIONS)
GROUNDED = [
    (name, task)
    for name in families.names()
    for task in PLACING
    if families.get(name).convention and task in families.get(name).tasks
]

_SCRAPS = """
    < > <| |> [ ] [[ ]] { } {{ ( ) , ; : . " ' / \\ ` ``` ```json | = - 0 7 57 124 999 1000 1024 99999
    0.5 -3 1e9 <box> </box> <ref> </ref> <point </point> <points </points> x="10.0" y="10" x1= coords="1
    alt=" <quad> </quad> <loc_ <loc_57> <loc0057> <loc_999> <seg001> <poly> </poly> <sep>
    <patch_index_0044> <phrase> </phrase> <object> </object> </delimiter_of_multi_objects/> <bbox>
    </bbox> <x_53> <y_57> <|ref|> <|/ref|> <|det|> <|/det|> <|object_ref_start|> <|object_ref_end|>
    <|box_start|> <|box_end|> <|begin_of_box|> <|end_of_box|> <think> </think> "bbox_2d": "box_2d":
    "point_2d": "label": "x_min": "objects": <|LOC_57|> <text> </text> CLICK(box= data-bbox=" </s> <eos>
    <|im_end|> <end_of_utterance> <image> <pad>
""".split()
_PIECES = st.sampled_from([*_SCRAPS, " ", "\n", "a red circle", "é漢", "There are none."])


def written(name: str, task: Task, size: Size, regions: list[Region]) -> str:
    return families.get(name).write(regions, image_size=size, input_size=size, asked=(task, "a red circle"))


@st.composite
def answers(draw: st.DrawFn, name: str) -> str:
    """Scraps of everybody's markup, and this family's own answers, whole and in pieces."""
    family = families.get(name)
    pieces = [_PIECES, st.text(max_size=4), st.just(family.end)]
    tasks = [task for task in PLACING if task in family.tasks]
    if family.convention and tasks:
        texts = [
            written(name, task, (400, 300), [region(task, (0.1, 0.2, 0.3, 0.9))] * count)
            for task in tasks
            for count in (1, 3)
        ]
        cuts = st.builds(lambda text, a, b: text[min(a, b) : max(a, b)], *_whole_and_cuts(texts))
        pieces += [st.sampled_from(texts), cuts, cuts]
    return "".join(draw(st.lists(st.one_of(pieces), max_size=16)))


def _whole_and_cuts(texts: list[str]) -> tuple[st.SearchStrategy[object], ...]:
    longest = max(map(len, texts))
    return st.sampled_from(texts), st.integers(0, longest), st.integers(0, longest)


def region(task: Task, places: tuple[float, float, float, float], label: str = "a red circle") -> Region:
    shape = Point(*places[:2]) if task is Task.POINT else Box(*places)
    return Region(label, shape, text=label if task is Task.OCR_REGIONS else None)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", families.names())
@settings(deadline=None, max_examples=FUZZED_ANSWERS)
@given(st.data())
def test_whatever_a_model_writes_is_read_and_only_grows(name: str, data: st.DataObject) -> None:
    raw = data.draw(answers(name))
    cut = data.draw(st.integers(0, len(raw)))
    task = data.draw(st.sampled_from(sorted(families.get(name).tasks)))
    images = data.draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=3))

    def read(text: str) -> Parsed:
        return families.get(name).parse(
            text, image_size=images[-1], input_size=(640, 480), asked=(task, "a red circle"), images=images
        )

    before, after = read(raw[:cut]), read(raw)
    assert after.text.startswith(before.text)
    assert after.regions[: len(before.regions)] == before.regions
    for found in after.regions:
        assert found.label
        assert found.image < len(images)
        if found.span is not None:
            assert after.text[slice(*found.span)].strip()


@pytest.mark.parametrize("name", families.names())
def test_an_empty_answer_says_nothing(name: str) -> None:
    for raw in ("", families.get(name).end):
        assert families.get(name).parse(raw, image_size=(4, 3)) == Parsed("")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "task"), GROUNDED)
def test_what_is_written_is_read_within_a_unit_of_the_grid(name: str, task: Task, size: Size) -> None:
    family = families.get(name)
    inputs = input_size(name, task, size)
    places = [(0.1, 0.2, 0.35, 0.9), (0.5, 0.03, 0.97, 0.4)][: 1 if task is Task.GROUND else 2]
    regions = [region(task, place) for place in places]
    asked = (task, "a red circle")
    raw = family.write(regions, image_size=size, input_size=inputs, asked=asked) + family.end
    parsed = family.parse(raw, image_size=size, input_size=inputs, asked=asked, images=[size])
    assert len(parsed.regions) == len(regions)
    unit = (1 / family.grid,) * 2 if family.grid else (1 / inputs[0], 1 / inputs[1])
    for found, place in zip(parsed.regions, places, strict=True):
        assert found.label
        if task is Task.OCR_REGIONS:
            assert found.text == "a red circle"
        read = (found.shape.x, found.shape.y) if isinstance(found.shape, Point) else _bounds(found)
        for index, value in enumerate(read):
            assert value == pytest.approx(place[index], abs=unit[index % 2] * 1.001)
    assert parsed.text


def _bounds(found: Region) -> tuple[float, ...]:
    from vlm_app.grounding import bounds

    return bounds(found.shape).xyxy


def input_size(name: str, task: Task, size: Size) -> Size:
    """What the family's own resizing makes of an image of that size."""
    if name not in checkpoints.names():
        return size
    family = families.get(name)
    processor = _processor(name)
    words = family.ask(task, "a red circle")
    turns = [Turn(Role.USER, (checkpoints.picture(size=size), words))]
    seen = family.encode(processor, turns, task=task)[1]
    assert seen.size
    return seen.size


def _processor(name: str) -> object:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))
