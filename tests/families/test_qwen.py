"""The Qwen-VL line: exact prompts, documented answers, and how regions are written."""

from __future__ import annotations

import pytest

from tests.families.places import places, read
from vlm_app import families
from vlm_app.types import Box, Point, Region, Task

ANSWERS: list[tuple[str, str, str, list[tuple[str, tuple[float, ...]]]]] = [
    # Qwen-VL's README: a grounded caption.
    (
        "qwen_vl",
        "<ref> Woman</ref><box>(451,379),(731,806)</box> and<ref> her dog</ref>"
        "<box>(219,424),(576,896)</box> playing on the beach<|endoftext|>",
        "Woman and her dog playing on the beach",
        [("Woman", (0.451, 0.379, 0.731, 0.806)), ("her dog", (0.219, 0.424, 0.576, 0.896))],
    ),
    # Several boxes of one phrase.
    (
        "qwen_vl",
        "<ref> Two apples</ref><box>(302,257),(582,671)</box><box>(603,252),(878,642)</box>",
        "Two apples",
        [("Two apples", (0.302, 0.257, 0.582, 0.671)), ("Two apples", (0.603, 0.252, 0.878, 0.642))],
    ),
    # Its README again: quotes within the phrase.
    (
        "qwen_vl",
        '<ref>"击掌"</ref><box>(211,412),(577,891)</box>',
        "击掌",
        [("击掌", (0.211, 0.412, 0.577, 0.891))],
    ),
    # Truncated in a number.
    ("qwen_vl", "<ref>击掌</ref><box>(211,412),(57", "击掌", []),
    # Qwen2-VL, reported in its repository's issue 9.
    (
        "qwen2_vl",
        "<|object_ref_start|>击掌<|object_ref_end|><|box_start|>(531,516),(581,596)<|box_end|><|im_end|>",
        "击掌",
        [("击掌", (0.531, 0.516, 0.581, 0.596))],
    ),
    # Made up in that form: a single pair is a point; a box without a phrase is what was asked for.
    ("qwen2_vl", "<|box_start|>(500,250)<|box_end|>", "cat", [("cat", (0.5, 0.25))]),
    # Made up: corners in the other order, one off the image.
    (
        "qwen2_vl",
        "<|box_start|>(592,42),(576,12)<|box_end|><|box_start|>(0,0),(5000,5)<|box_end|>",
        "cat",
        [("cat", (0.576, 0.012, 0.592, 0.042))],
    ),
    # Qwen2.5-VL's text spotting: pixels of the input, a comma behind the last object.
    (
        "qwen2_5_vl",
        '```json\n[\n\t{"bbox_2d": [125, 169, 754, 208], "text_content": "OPEN"},\n]\n```',
        "OPEN",
        [("OPEN", (0.125, 0.338, 0.754, 0.416))],
    ),
    # supervision's example of Qwen2.5-VL's detections.
    (
        "qwen2_5_vl",
        '```json\n[\n    {"bbox_2d": [139, 368, 315, 454], "label": "cat"},\n'
        '    {"bbox_2d": [366, 279, 536, 449], "label": "dog"}\n]\n```',
        "cat, dog",
        [("cat", (0.139, 0.736, 0.315, 0.908)), ("dog", (0.366, 0.558, 0.536, 0.898))],
    ),
    # Its document parsing (in the form of the cookbook, shortened): HTML with places; a picture has no words.
    (
        "qwen2_5_vl",
        '<h2 data-bbox="61 69 340 95">1 Intro</h2><div class="image" data-bbox="0 250 500 500"></div>',
        "1 Intro, image",
        [("1 Intro", (0.061, 0.138, 0.34, 0.19)), ("image", (0, 0.5, 0.5, 1))],
    ),
    # Its points in XML: the form of its prompt, numbers made up.
    ("qwen2_5_vl", '<points x1="500" y1="250" alt="pin">pin</points>', "pin", [("pin", (0.5, 0.5))]),
    ("qwen2_5_vl", '<points x1="500" y1="25', "", []),
    # Qwen3-VL's cookbook `omni_recognition`: the name under a key of its own.
    (
        "qwen3_vl",
        '```json\n[\n\t{"bbox_2d": [0, 614, 224, 825], "name_zh": "米饭", "name_en": "Rice"},\n'
        '\t{"bbox_2d": [704, 185, 956, 317], "name_zh": "橙子片", "name_en": "Orange Slices"}\n]\n```',
        "米饭, 橙子片",
        [("米饭", (0, 0.614, 0.224, 0.825)), ("橙子片", (0.704, 0.185, 0.956, 0.317))],
    ),
    # The same cookbook: a brace too many, and names in an object of their own.
    (
        "qwen3_vl",
        '```json\n[\n\t{"bbox_2d": [541, 0, 667, 333],\n\t\t"names": {\n\t\t\t"zh": "悲鸣屿行冥",\n'
        '\t\t\t"en": "Gyomei Himejima"\n\t\t}\n\t},\n\t{\n\t{"bbox_2d": [649, 116, 794, 643],\n'
        '\t\t"names": {\n'
        '\t\t\t"zh": "伊黑小芭内",\n\t\t\t"en": "Obanai Iguro"\n\t\t}\n\t}\n]\n```',
        "悲鸣屿行冥, 伊黑小芭内",
        [("悲鸣屿行冥", (0.541, 0, 0.667, 0.333)), ("伊黑小芭内", (0.649, 0.116, 0.794, 0.643))],
    ),
    # Its cookbook `spatial_understanding`: a point.
    (
        "qwen3_vl",
        '```json\n[\n\t{"point_2d": [925, 618], "label": "point_1"}\n]\n```',
        "point_1",
        [("point_1", (0.925, 0.618))],
    ),
    # Reported of Qwen3-VL: Molmo's tag, at 0–1000.
    (
        "qwen3_vl",
        '<points x1="115" y1="150" x2="885" y2="104" alt="background">background</points>',
        "background",
        [("background", (0.115, 0.15)), ("background", (0.885, 0.104))],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "shown", "expected"), ANSWERS)
def test_documented_answers_are_read(
    name: str, text: str, shown: str, expected: list[tuple[str, tuple[float, ...]]]
) -> None:
    assert read(name, text).text == shown
    assert places(name, text) == expected


@pytest.mark.parametrize(
    ("raw", "shown", "boxes"),
    [
        # OS-Atlas, a Qwen2-VL, as an evaluation of agents notes its answers where tokens are dropped.
        ("Week 0 Functions(212,646),(324,676)", "Week 0 Functions", [(0.212, 0.646, 0.324, 0.676)]),
        ("(272,494),(732,621)<|im_end|>", "cat", [(0.272, 0.494, 0.732, 0.621)]),
        ("a cat (272,494),(73", "a cat", []),
        ("a cat (one of two), (3,4)<|im_end|>", "a cat (one of two), (3,4)", []),
    ],
)
def test_boxes_without_their_tokens_are_read_where_places_were_asked_for(
    raw: str, shown: str, boxes: list[tuple[float, ...]]
) -> None:
    parsed = read("qwen2_vl", raw, Task.GROUND)
    assert parsed.text == shown
    assert [values for _, values in places("qwen2_vl", raw, Task.GROUND)] == boxes
    assert read("qwen2_vl", raw, Task.CHAT).regions == ()


def test_pixels_are_of_what_the_model_saw() -> None:
    text = '{"bbox_2d": [140, 140, 280, 280], "label": "cat"}'
    parsed = families.get("qwen2_5_vl").parse(text, image_size=(4000, 3000), input_size=(560, 280))
    assert parsed.regions[0].shape == Box(0.25, 0.5, 0.5, 1)


def test_regions_are_written_in_the_official_form() -> None:
    regions = [Region("cat", Box(0.1, 0.2, 0.3, 0.4)), Region("dög", Box(0, 0, 1, 1))]
    size = {"image_size": (1000, 500)}
    assert families.get("qwen3_vl").write(regions, **size) == (
        '```json\n[\n\t{"bbox_2d": [100, 200, 300, 400], "label": "cat"},\n'
        '\t{"bbox_2d": [0, 0, 1000, 1000], "label": "dög"}\n]\n```'
    )
    assert '"bbox_2d": [100, 100, 300, 200]' in families.get("qwen2_5_vl").write(regions, **size)
    assert families.get("qwen2_vl").write(regions[:1], **size) == (
        "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|>"
    )
    spots = [Region("pin", Point(0.1, 0.2)), Region("pin", Point(0.5, 0.5))]
    assert families.get("qwen2_5_vl").write(spots, **size) == (
        '<points x1="100" y1="100" x2="500" y2="250" alt="pin">pin</points>'
    )


@pytest.mark.parametrize(
    ("name", "task", "query", "words"),
    [
        ("qwen_vl", Task.CAPTION, "", "Generate the caption in English with grounding:"),
        ("qwen_vl", Task.GROUND, "击掌", "框出图中击掌的位置"),
        (
            "qwen2_5_vl",
            Task.OCR_REGIONS,
            "",
            "Spotting all the text in the image with line-level, and output in JSON format.",
        ),
        (
            "qwen2_5_vl",
            Task.GROUND,
            "the top right brown cake",
            "Locate the top right brown cake, output its bbox coordinates using JSON format.",
        ),
        (
            "qwen2_5_vl",
            Task.POINT,
            "rolling pin",
            "point to the rolling pin, output its coordinates in XML format <points x y>object</points>",
        ),
        (
            "qwen3_vl",
            Task.DETECT,
            "cat; dog",
            'Locate every instance that belongs to the following categories: "cat, dog". '
            "Report bbox coordinates in JSON format.",
        ),
        (
            "qwen3_vl",
            Task.POINT,
            "free space on the table",
            "Locate the free space on the table in this image. Output the point coordinates in JSON format.",
        ),
    ],
)
def test_prompts_are_the_documented_ones(name: str, task: Task, query: str, words: str) -> None:
    assert families.get(name).ask(task, query) == words
