"""Qwen-VL, GLM, Gemini and dots.ocr: exact prompts, documented answers, and what the model sees."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput
from vlm_app.families import Parsed
from vlm_app.types import Box, Point, Region, Role, Seen, Task, Turn

NATIVE = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v")
QUESTION = "What is in the image?"


def read(name: str, text: str, task: Task = Task.DETECT, query: str = "cat") -> Parsed:
    """An answer about an image of 1000 × 500 pixels, which the model saw as it is."""
    return families.get(name).parse(text, image_size=(1000, 500), asked=(task, query))


def places(name: str, text: str, task: Task = Task.DETECT) -> list[tuple[str, tuple[float, ...]]]:
    found = []
    for region in read(name, text, task).regions:
        shape = region.shape
        values = (
            shape.xyxy if isinstance(shape, Box) else (shape.x, shape.y) if isinstance(shape, Point) else ()
        )
        found.append((region.label, tuple(round(value, 3) for value in values)))
    return found


# --- answers --------------------------------------------------------------------------------

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
    # A single pair is a point; a box without a phrase is what was asked for.
    ("qwen2_vl", "<|box_start|>(500,250)<|box_end|>", "cat", [("cat", (0.5, 0.25))]),
    # Corners in the other order, one off the image.
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
    # Its document parsing: HTML with places; a picture has no words.
    (
        "qwen2_5_vl",
        '<h2 data-bbox="61 69 340 95">1 Intro</h2><div class="image" data-bbox="0 250 500 500"></div>',
        "1 Intro, image",
        [("1 Intro", (0.061, 0.138, 0.34, 0.19)), ("image", (0, 0.5, 0.5, 1))],
    ),
    # Its points in XML.
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
    # Gemini: y before x.
    (
        "gemini",
        '[{"box_2d": [543, 40, 728, 200], "label": "cat"}]',
        "cat",
        [("cat", (0.04, 0.543, 0.2, 0.728))],
    ),
    ("gemini", '[{"point": [376, 508], "label": "pen"}]', "pen", [("pen", (0.508, 0.376))]),
    # dots.ocr: a picture has a category alone, other blocks have text.
    (
        "dots_ocr",
        '[{"bbox": [80, 28, 220, 115], "category": "Picture"}, '
        '{"bbox": [100, 250, 500, 300], "category": "Title", "text": "# Größe"}]',
        "Picture, # Größe",
        [("Picture", (0.08, 0.056, 0.22, 0.23)), ("# Größe", (0.1, 0.5, 0.5, 0.6))],
    ),
]  # fmt: skip
GLM_ANSWERS = [
    ("<|begin_of_box|>[[94,598,177,991]]<|end_of_box|>", "cat", 1),
    # The bracket style varies, says the README of GLM-V.
    ("<|begin_of_box|>[94, 598, 177, 991]<|end_of_box|>", "cat", 1),
    ("<|begin_of_box|>(94,598,177,991)<|end_of_box|>", "cat", 1),
    ("<|begin_of_box|><94,598,177,991><|end_of_box|>", "cat", 1),
    ("<|begin_of_box|>[[94,598,177,991],[1,2,300,400]]<|end_of_box|>", "cat", 2),
    # Thinking, with brackets, and the answer in tags.
    (
        "<think>A cat [1,2,3,4].</think><answer><|begin_of_box|>[[94,598,177,991]]<|end_of_box|></answer>",
        "<think>A cat [1,2,3,4].</think>cat",
        1,
    ),
    # In a sentence the place is left out, the words stay.
    ("The cat <|begin_of_box|>[[94,598,177,991]]<|end_of_box|> sleeps.", "The cat sleeps.", 1),
    # A server that drops special tokens leaves the brackets.
    ("[[94,598,177,991],[1,2,300,400]]", "cat", 2),
    # Agents' JSON: x first, unlike Gemini's.
    ('<|begin_of_box|>[{"box_2d": [94, 598, 177, 991], "label": "cat"}]<|end_of_box|>', "cat", 1),
    # The tokens mark short answers as well.
    ("<|begin_of_box|>42<|end_of_box|>", "42", 0),
    # Truncated, and empty.
    ("<|begin_of_box|>[[94,598,1", "", 0),
    ("", "", 0),
]


@pytest.mark.parametrize(("name", "text", "shown", "expected"), ANSWERS)
def test_documented_answers_are_read(
    name: str, text: str, shown: str, expected: list[tuple[str, tuple[float, ...]]]
) -> None:
    assert read(name, text).text == shown
    assert places(name, text) == expected


@pytest.mark.parametrize(("text", "shown", "boxes"), GLM_ANSWERS)
def test_glm_s_boxes_are_read_in_any_brackets(text: str, shown: str, boxes: int) -> None:
    parsed = read("glm4v", text, Task.GROUND)
    assert parsed.text == shown
    assert len(parsed.regions) == boxes
    if boxes:
        assert parsed.regions[0].label == "cat"
        assert parsed.regions[0].shape == Box(0.094, 0.598, 0.177, 0.991)


def test_brackets_in_a_chat_with_glm_are_words() -> None:
    assert read("glm4v", "The range is [1, 2, 3, 4].", Task.CHAT) == Parsed("The range is [1, 2, 3, 4].")


def test_pixels_are_of_what_the_model_saw() -> None:
    text = '{"bbox_2d": [140, 140, 280, 280], "label": "cat"}'
    parsed = families.get("qwen2_5_vl").parse(text, image_size=(4000, 3000), input_size=(560, 280))
    assert parsed.regions[0].shape == Box(0.25, 0.5, 0.5, 1)


def test_a_page_s_words_are_told() -> None:
    text = '[{"bbox": [1, 2, 300, 400], "category": "Text", "text": "Hello"}]'
    (block,) = read("dots_ocr", text, Task.OCR_REGIONS).regions
    assert block.text == "Hello"


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
    assert families.get("glm4v").write(regions[:1], **size) == (
        "<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"
    )
    assert '"box_2d": [200, 100, 400, 300]' in families.get("gemini").write(regions, **size)
    spots = [Region("pin", Point(0.1, 0.2)), Region("pin", Point(0.5, 0.5))]
    assert families.get("qwen2_5_vl").write(spots, **size) == (
        '<points x1="100" y1="100" x2="500" y2="250" alt="pin">pin</points>'
    )


# --- prompts --------------------------------------------------------------------------------


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
            "Locate every instance that belongs to the following categories: 'cat, dog'. "
            "Report bbox coordinates in JSON format.",
        ),
        (
            "qwen3_vl",
            Task.POINT,
            "free space on the table",
            "Locate the free space on the table in this image. Output the point coordinates in JSON format.",
        ),
        (
            "glm4v",
            Task.GROUND,
            "red cat",
            "Please pinpoint the bounding box [[x1,y1,x2,y2], …] in the image as per the given "
            "description. red cat",
        ),
        (
            "gemini",
            Task.DETECT,
            "",
            "Detect the all of the prominent items in the image. "
            "The box_2d should be [ymin, xmin, ymax, xmax] normalized to 0-1000.",
        ),
        ("dots_ocr", Task.OCR, "", "Extract the text content from this image."),
    ],
)
def test_prompts_are_the_documented_ones(name: str, task: Task, query: str, words: str) -> None:
    assert families.get(name).ask(task, query) == words


RENDERED = {
    "qwen2_vl": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    "<|vision_start|>{}<|vision_end|>What is in the image?<|im_end|>\n<|im_start|>assistant\n",
    "qwen3_vl": "<|im_start|>user\n<|vision_start|>{}<|vision_end|>What is in the image?<|im_end|>\n"
    "<|im_start|>assistant\n",
    "glm4v": "[gMASK]<sop><|user|>\n<|begin_of_image|>{}<|end_of_image|>What is in the image?<|assistant|>\n",
}
RENDERED["qwen2_5_vl"] = RENDERED["qwen2_vl"]
IMAGE = {"glm4v": "<|image|>"}


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def encode(name: str, size: tuple[int, int] = (300, 200), **more: Any) -> tuple[dict[str, Any], Seen]:
    turns = [Turn(Role.USER, (checkpoints.picture(size=size), QUESTION))]
    return families.get(name).encode(processor(name), turns, task=Task.CHAT, **more)


@pytest.mark.parametrize("name", NATIVE)
def test_the_prompt_is_the_template_s(name: str) -> None:
    inputs, seen = encode(name)
    prompt = processor(name).tokenizer.decode(inputs["input_ids"][0])
    image = IMAGE.get(name, "<|image_pad|>")
    assert prompt == RENDERED[name].format(image * seen.visual_tokens)


@pytest.mark.parametrize("size", [(300, 300), (900, 120), (60, 700), (9, 5), (1600, 1200)])
@pytest.mark.parametrize("pixels", [None, 20_000])
@pytest.mark.parametrize("name", NATIVE)
def test_what_the_model_saw_is_what_was_encoded(name: str, pixels: int | None, size: tuple[int, int]) -> None:
    inputs, seen = encode(name, size, pixels=pixels)
    reader = processor(name).image_processor
    _, rows, columns = inputs["image_grid_thw"][0].tolist()
    assert seen.size == (columns * reader.patch_size, rows * reader.patch_size)
    image = processor(name).tokenizer.convert_tokens_to_ids(IMAGE.get(name, "<|image_pad|>"))
    assert seen.visual_tokens == inputs["input_ids"][0].tolist().count(image) > 0
    if pixels and size == (1600, 1200):
        assert seen.size[0] * seen.size[1] <= pixels


@pytest.mark.parametrize("name", NATIVE)
def test_a_very_narrow_image_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(BadInput, match="200 times as long as wide, found 1500 × 5"):
        encode(name, (1500, 5))


@pytest.mark.parametrize("name", NATIVE)
def test_an_answer_to_learn_is_followed_by_its_end(name: str) -> None:
    family = families.get(name)
    answer = family.write([Region("cat", Box(0.1, 0.2, 0.3, 0.4))], image_size=(300, 200))
    inputs, _ = encode(name, answer=answer)
    learned = [label for label in inputs["labels"][0].tolist() if label != -100]
    assert processor(name).tokenizer.decode(learned) == answer + family.end
    ids = processor(name).tokenizer.added_tokens_decoder
    written = [*family.markup.findall(answer), family.end]
    assert [str(ids[token]) for token in learned if token in ids] == written


@pytest.mark.parametrize("name", NATIVE)
def test_an_earlier_answer_is_read_as_it_was_written(name: str) -> None:
    turns = [
        Turn(Role.SYSTEM, ("Be brief.",)),
        Turn(Role.USER, (checkpoints.picture(), "Where?")),
        Turn(Role.ASSISTANT, ("There.",)),
        Turn(Role.USER, ("Sure?",)),
    ]
    inputs, _ = families.get(name).encode(processor(name), turns, task=Task.CHAT)
    prompt = processor(name).tokenizer.decode(inputs["input_ids"][0])
    expected = (
        "There.<|user|>\nSure?<|assistant|>"
        if name == "glm4v"
        else "There.<|im_end|>\n<|im_start|>user\nSure?"
    )
    assert "Be brief." in prompt and expected in prompt
