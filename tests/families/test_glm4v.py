"""GLM-4.1V to 4.6V: boxes in any brackets, between tokens that also mark short answers."""

from __future__ import annotations

import pytest

from tests.families.places import places, read
from vlm_app import families
from vlm_app.families import Parsed
from vlm_app.types import Box, Region, Task

# The box of the first rows is that of GLM-4.6V's documented answer below, in the other forms that it takes;
# where a row names no source, its words are made up around it.
ANSWERS = [
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
    # GLM-4.6V on vLLM (AMD's guide to it on MI300X): in a sentence the place is left out, the words stay.
    (
        "\nThe coordinates of the second bottle of beer from the right on the table are "
        "<|begin_of_box|>[[94,598,177,991]]<|end_of_box|>.",
        "The coordinates of the second bottle of beer from the right on the table are.",
        1,
    ),
    # A server that drops special tokens leaves the brackets.
    ("[[94,598,177,991],[1,2,300,400]]", "cat", 2),
    # Agents' JSON: x first, unlike Gemini's.
    ('<|begin_of_box|>[{"box_2d": [94, 598, 177, 991], "label": "cat"}]<|end_of_box|>', "cat", 1),
    # The tokens mark short answers as well.
    ("<|begin_of_box|>42<|end_of_box|>", "42", 0),
    # Truncated in the second box, and in the first; empty.
    ("<|begin_of_box|>[[94,598,177,991],[1,2,30", "cat", 1),
    ("<|begin_of_box|>[[94,598,1", "", 0),
    ("", "", 0),
]


@pytest.mark.parametrize(("text", "shown", "boxes"), ANSWERS)
def test_glm_s_boxes_are_read_in_any_brackets(text: str, shown: str, boxes: int) -> None:
    parsed = read("glm4v", text, Task.GROUND)
    assert parsed.text == shown
    assert len(parsed.regions) == boxes
    if boxes:
        assert parsed.regions[0].label == "cat"
        assert parsed.regions[0].shape == Box(0.094, 0.598, 0.177, 0.991)


def test_brackets_in_a_chat_with_glm_are_words() -> None:
    assert read("glm4v", "The range is [1, 2, 3, 4].", Task.CHAT) == Parsed("The range is [1, 2, 3, 4].")


def test_a_list_of_labelled_boxes_stands_between_the_tokens() -> None:
    # The same guide: GLM-4.6V asked for 'label' and 'bbox_2d' (two of eight cats).
    raw = (
        "\nThe list of cat breeds and their bounding box coordinates in the required JSON format is "
        '<|begin_of_box|>[{"label": "American Shorthair-1", "bbox_2d": [109, 152, 193, 822]}, '
        '{"label": "Maine Coon-1", "bbox_2d": [696, 92, 819, 822]}]<|end_of_box|>.'
    )
    assert read("glm4v", raw, Task.CHAT).text.endswith("format is American Shorthair-1, Maine Coon-1.")
    assert places("glm4v", raw, Task.CHAT) == [
        ("American Shorthair-1", (0.109, 0.152, 0.193, 0.822)),
        ("Maine Coon-1", (0.696, 0.092, 0.819, 0.822)),
    ]


def test_a_box_is_asked_for_and_written_in_the_readme_s_form() -> None:
    family = families.get("glm4v")
    assert family.ask(Task.GROUND, "red cat") == (
        "Please pinpoint the bounding box [[x1,y1,x2,y2], …] in the image as per the given "
        "description. red cat"
    )
    regions = [Region("cat", Box(0.1, 0.2, 0.3, 0.4))]
    assert family.write(regions, image_size=(1000, 500)) == (
        "<|begin_of_box|>[[100,200,300,400]]<|end_of_box|>"
    )


def test_several_classes_are_asked_for_as_a_list_of_labels_and_boxes() -> None:
    # The words are those of Z.ai's example for GLM-4.6V, which asks for breeds of cats.
    family = families.get("glm4v")
    asked = family.ask(Task.DETECT, "cat; dog")
    assert asked.startswith(
        "Detect all objects of these categories in the image: cat, dog. Return the results"
    )
    assert asked.endswith(
        '[{"label": "cat", "bbox_2d": [1, 2, 3, 4]}, {"label": "cat", "bbox_2d": [4, 5, 6, 7]}]'
    )
    assert family.ask(Task.DETECT).startswith("Detect all objects in the image. Return")
    regions = [Region("cat", Box(0.1, 0.2, 0.3, 0.4)), Region("dög", Box(0, 0, 1, 1))]
    raw = family.write(regions, image_size=(1000, 500), asked=(Task.DETECT, "cat, dög"))
    assert places("glm4v", raw) == [("cat", (0.1, 0.2, 0.3, 0.4)), ("dög", (0, 0, 1, 1))]
    assert places("glm4v", raw[: raw.index("dög")]) == [("cat", (0.1, 0.2, 0.3, 0.4))]
