"""Families that put labels and boxes in tags: InternVL, DeepSeek-VL2, MiniCPM-V, Ovis2."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.families import Parsed
from vlm_app.types import Box, Point, Polygon, Region, Role, Task, Turn

Found = list[tuple[str, tuple[float, ...]]]


def read(family: str, text: str, query: str = "dog") -> Parsed:
    return families.get(family).parse(text, image_size=(640, 480), asked=(Task.GROUND, query))


def boxes(parsed: Parsed, side: float = 1000) -> Found:
    """Labels and boxes in units, as a user would see them."""
    return [
        (one.label, tuple(round(value * side, 1) for value in one.shape.xyxy))
        for one in parsed.regions
        if isinstance(one.shape, Box)
    ]


# --- what they write ----------------------------------------------------------------------

INTERNVL: list[tuple[str, str, Found]] = [
    # The box of InternVL 1.5's documented sample. The rows below that name no source are made up in its form.
    ("<ref>a dog</ref><box>[[253, 231, 733, 787]]</box>", "a dog", [("a dog", (253, 231, 733, 787))]),
    # Spaces inside the tags and between them: streamlit_demo/app.py allows both.
    ("<ref> a dog </ref> <box>[[1, 2, 3, 4]]</box>", "a dog", [("a dog", (1, 2, 3, 4))]),
    # A data set in InternVL's format, for a grounding question: no spaces, four boxes of one phrase.
    (
        "<ref>circle</ref><box>[[278,24,354,100],[515,10,611,106],[174,299,228,353],[407,415,489,497]]</box>",
        "circle",
        [
            ("circle", (278, 24, 354, 100)),
            ("circle", (515, 10, 611, 106)),
            ("circle", (174, 299, 228, 353)),
            ("circle", (407, 415, 489, 497)),
        ],
    ),
    # The example of a caption of All-Seeing v2, which speaks InternVL's format (without its relations).
    (
        "In the image, a tall red <ref>bus</ref><box>[[290, 202, 835, 851]]</box> is driving on a "
        "<ref>road</ref><box>[[0, 604, 984, 999]]</box>.",
        "In the image, a tall red bus is driving on a road.",
        [("bus", (290, 202, 835, 851)), ("road", (0, 604, 984, 999))],
    ),
    # Two instances share their phrase; two labels are a list.
    (
        "<ref>cat</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box>\n"
        "<ref>dog</ref><box>[[9, 9, 99, 99]]</box><|im_end|>",
        "cat, dog",
        [("cat", (1, 2, 3, 4)), ("cat", (5, 6, 7, 8)), ("dog", (9, 9, 99, 99))],
    ),
    # Cut off inside a number: what was whole stays.
    ("<ref>cat</ref><box>[[1, 2, 3, 4], [5, 6, 7", "cat", [("cat", (1, 2, 3, 4))]),
    ("<ref>cat</ref><bo", "", []),
    # In a sentence, behind a line of thought with brackets.
    (
        "<think>[1, 2]?</think> Here <ref>it</ref><box>[[1, 2, 3, 4]]</box> sits.",
        "<think>[1, 2]?</think> Here it sits.",
        [("it", (1, 2, 3, 4))],
    ),
    # Nested in a list, three numbers, out of range by a little and by far, corners swapped.
    (
        "- <ref>a</ref><box>[[[1, 2, 3], [5, 6, 7, 1008], [5, 6, 7, 4000], [700, 800, 100, 200]]]</box>",
        "- a",
        [("a", (5, 6, 7, 1000)), ("a", (100, 200, 700, 800))],
    ),
    # Labels in other scripts, with signs and without a box.
    (
        "<ref>小さな犬 & \"A\" < B</ref><box>[[1, 2, 3, 4]]</box>",
        '小さな犬 & "A" < B',
        [('小さな犬 & "A" < B', (1, 2, 3, 4))],
    ),
    ("There is <ref>nothing</ref> here.", "There is nothing here.", []),
    # A box alone is what was asked for.
    ("<box>[[1, 2, 3, 4]]</box>", "dog", [("dog", (1, 2, 3, 4))]),
    ("Fenced:\n```\n<box>[[1, 2, 3, 4]]</box>\n```", "Fenced:\n```\ndog\n```", [("dog", (1, 2, 3, 4))]),
    ("", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "found"), INTERNVL)
def test_internvl_s_boxes_are_read(raw: str, text: str, found: Found) -> None:
    parsed = read("internvl", raw)
    assert (parsed.text, boxes(parsed)) == (text, found)
    for one in parsed.regions:
        assert one.span and parsed.text[slice(*one.span)] == one.label


@pytest.mark.parametrize(
    ("raw", "text", "found"),
    [
        ("the leopard[[272, 494, 732, 621]]", "the leopard", [("the leopard", (272, 494, 732, 621))]),
        ("cat[[1,2,3,4],[5,6,7,8]]\ndog [[9,9,99,99]]", "cat\ndog", None),
        ("[[272, 494, 732, 621]]", "dog", [("dog", (272, 494, 732, 621))]),
        ("the leopard[[272, 494, 7", "the leopard", []),
        ("A list [1, 2] of [[words]].", "A list [1, 2] of [[words]].", []),
    ],
)
def test_internvl_s_boxes_are_read_where_a_server_drops_its_tags(
    raw: str, text: str, found: Found | None
) -> None:
    # llama.cpp and Ollama leave special tokens out of an answer: made up from the rows above.
    parsed = read("internvl", raw)
    assert parsed.text == text
    if found is not None:
        assert boxes(parsed) == found
    else:
        assert [label for label, _ in boxes(parsed)] == ["cat", "cat", "dog"]
    chat = families.get("internvl").parse(raw, image_size=(640, 480), asked=(Task.CHAT, ""))
    assert chat == Parsed(raw)  # elsewhere brackets are words


DEEPSEEK: list[tuple[str, str, Found]] = [
    # README.md of deepseek-ai/DeepSeek-VL2; the bars of its end token are full-width.
    (
        "<|ref|>The giraffe at the back.<|/ref|><|det|>[[580, 270, 999, 900]]<|/det|><｜end▁of▁sentence｜>",
        "The giraffe at the back.",
        [("The giraffe at the back.", (580, 270, 999, 900))],
    ),
    # supervision's example: two objects in a row.
    (
        "<|ref|>The giraffe at the back<|/ref|><|det|>[[580, 270, 999, 904]]<|/det|>"
        "<|ref|>The giraffe at the front<|/ref|><|det|>[[26, 31, 632, 998]]<|/det|>",
        "The giraffe at the back, The giraffe at the front",
        [
            ("The giraffe at the back", (580, 270, 999, 904)),
            ("The giraffe at the front", (26, 31, 632, 998)),
        ],
    ),
    # Made up: more refs than dets, and more dets than refs.
    ("<|ref|>a<|/ref|><|ref|>b<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>", "ab", [("b", (1, 2, 3, 4))]),
    (
        "<|ref|>a<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|><|det|>[[5, 6, 7, 8]]<|/det|>",
        "a, dog",
        [("a", (1, 2, 3, 4)), ("dog", (5, 6, 7, 8))],
    ),
    # A grounded sentence, made up.
    (
        "The <|ref|>man<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|> rides.",
        "The man rides.",
        [("man", (1, 2, 3, 4))],
    ),
    ("", "", []),
]


@pytest.mark.parametrize(("raw", "text", "found"), DEEPSEEK)
def test_deepseek_vl2_s_boxes_are_read(raw: str, text: str, found: Found) -> None:
    parsed = read("deepseek_vl2", raw)
    assert (parsed.text, boxes(parsed, 999)) == (text, found)


MINICPM: list[tuple[str, str, Found]] = [
    # The forms are those of the maintainers' answers, the numbers are made up.
    # Issue 982 of OpenBMB/MiniCPM-V: no label, spaces.
    ("<box>102 233 501 777</box>", "dog", [("dog", (102, 233, 501, 777))]),
    # Issue 772: read text with its box.
    ("<ref>OPEN 24h</ref><box>10 20 30 40</box>", "OPEN 24h", [("OPEN 24h", (10, 20, 30, 40))]),
    ("<box>102 233 501 7", "", []),
    ("<box>102 233 501</box>", "", []),
]


@pytest.mark.parametrize(("raw", "text", "found"), MINICPM)
def test_minicpm_v_s_boxes_are_read(raw: str, text: str, found: Found) -> None:
    parsed = read("minicpm_v", raw)
    assert (parsed.text, boxes(parsed)) == (text, found)


def test_minicpm_v_s_points_and_quads_are_read() -> None:
    # Issue 185: one, two or four places, all in thousandths.
    parsed = read("minicpm_v", "<point>100 200</point> <quad>0 0 500 0 500 500 0 500</quad>")
    assert [one.shape for one in parsed.regions] == [
        Point(0.1, 0.2),
        Polygon((Point(0, 0), Point(0.5, 0), Point(0.5, 0.5), Point(0, 0.5))),
    ]


# No answer of Ovis is documented: these are made up in the form that other people's code reads.
@pytest.mark.parametrize(
    "raw",
    [
        "<box>(0.25,0.5),(0.75,1)</box>",
        "<box>(250,500),(750,1000)</box>",
        "<ref>dog</ref><box>[[250,500,750,1000]]</box>",
    ],
)
def test_ovis_s_boxes_are_read_in_either_scale(raw: str) -> None:
    parsed = read("ovis2", raw)
    assert (parsed.text, boxes(parsed)) == ("dog", [("dog", (250, 500, 750, 1000))])


def test_ovis_s_points_are_read() -> None:
    assert read("ovis2", "<point>(0.5,0.25)</point>").regions == (
        Region("dog", Point(0.5, 0.25), span=(0, 3)),
    )


def test_a_point_is_no_box_to_write() -> None:
    with pytest.raises(ModelUnavailable, match="draw a box"):
        families.get("internvl").write([Region("dog", Point(0.5, 0.5))], image_size=(4, 3))


# --- how they are asked ---------------------------------------------------------------------

PROMPTS = [
    (
        "internvl",
        Task.GROUND,
        "the middle leopard",
        "Please provide the bounding box coordinate of the region this sentence describes: "
        "<ref>the middle leopard</ref>",
    ),
    (
        "internvl",
        Task.DETECT,
        "the middle leopard",
        "Detect the <ref>the middle leopard</ref> in the image with its bounding box.",
    ),
    (
        "internvl",
        Task.COUNT,
        "cat; dog",
        "Detect the <ref>cat</ref>, <ref>dog</ref> in the image with its bounding box.",
    ),
    ("internvl", Task.DETECT, "", "Please identify and label all objects in the following image."),
    ("internvl", Task.CAPTION, "", "Provide a one-sentence caption for the provided image."),
    ("deepseek_vl2", Task.GROUND, "The giraffe at the back.", "<|ref|>The giraffe at the back<|/ref|>."),
    ("deepseek_vl2", Task.DETECT, "cat, dog", "<|ref|>cat<|/ref|>, <|ref|>dog<|/ref|>."),
    (
        "minicpm_v",
        Task.GROUND,
        "book",
        "Please provide the bounding box coordinate of the region this sentence describes: <ref>book</ref>",
    ),
    (
        "ovis2",
        Task.GROUND,
        "red apple",
        "Find the <ref>red apple</ref> in the image. Please provide the bounding box coordinates.",
    ),
    (
        "ovis2",
        Task.COUNT,
        "apples",
        "Find the <ref>apples</ref> in the image. Please provide the point coordinates.",
    ),
    ("ovis2", Task.CAPTION, "", "Describe this image in detail."),
    # A typed tag does not end the one that the family writes.
    (
        "minicpm_v",
        Task.GROUND,
        "a</ref><box>",
        "Please provide the bounding box coordinate of the region this sentence describes: "
        "<ref>a< /ref>< box></ref>",
    ),
]


@pytest.mark.parametrize(("family", "task", "query", "words"), PROMPTS)
def test_tasks_have_their_official_words(family: str, task: Task, query: str, words: str) -> None:
    assert families.get(family).ask(task, query) == words


@pytest.mark.parametrize("family", ["deepseek_vl2", "internvl", "minicpm_v", "ovis2"])
def test_there_is_nothing_to_look_for_without_a_query(family: str) -> None:
    with pytest.raises(BadInput, match="what to look for"):
        families.get(family).ask(Task.GROUND)


# --- what the models get ----------------------------------------------------------------------


@cache
def processor(family: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(family))


def encode(family: str, *turns: Turn, task: Task = Task.CHAT, **more: Any) -> tuple[Any, Any, str]:
    inputs, seen = families.get(family).encode(processor(family), turns, task=task, **more)
    return inputs, seen, processor(family).tokenizer.decode(inputs["input_ids"][0])


def user(*parts: Any) -> Turn:
    return Turn(Role.USER, parts)


def test_internvl_s_prompt_is_the_template_s() -> None:
    turns = [user(checkpoints.picture(), "Is it red?"), Turn(Role.ASSISTANT, ("Yes.",)), user("Sure?")]
    text = encode("internvl", *turns)[2].replace("<IMG_CONTEXT>", "")
    assert text == (
        "<|im_start|>user\n<img></img>\nIs it red?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
        "<|im_start|>user\nSure?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_internvl_gets_the_tags_of_its_words_as_tokens_and_typed_ones_as_text() -> None:
    tag = processor("internvl").tokenizer.convert_tokens_to_ids("<ref>")
    words = families.get("internvl").ask(Task.GROUND, "a <ref> b")
    asked = [user(checkpoints.picture(), words)]
    assert encode("internvl", *asked, task=Task.GROUND)[0]["input_ids"][0].tolist().count(tag) == 1
    assert encode("internvl", *asked, task=Task.CHAT)[0]["input_ids"][0].tolist().count(tag) == 0


def test_ovis2_s_prompt_is_the_template_s() -> None:
    text = encode("ovis2", user(checkpoints.picture(size=(64, 64)), "What is it?"))[2]
    assert text == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<IMG_START>"
        + "<IMG_ATOM>" * 4
        + "<IMG_GRID><IMG_END>\nWhat is it?<|im_end|>\n<|im_start|>assistant\n"
    )


@pytest.mark.parametrize("size", [(60, 60), (300, 100), (100, 250)])
@pytest.mark.parametrize("pixels", [None, 3 * 64 * 64, 1])
@pytest.mark.parametrize(("family", "token"), [("internvl", "<IMG_CONTEXT>"), ("ovis2", "<IMG_ATOM>")])
def test_what_is_seen_is_what_was_encoded(family: str, token: str, pixels: int | None, size: Any) -> None:
    inputs, seen, text = encode(family, user(checkpoints.picture(size=size), "x"), pixels=pixels)
    assert seen.tiles == len(inputs["pixel_values"])
    assert seen.visual_tokens == text.count(token)
    assert seen.size[0] * seen.size[1] == max(seen.tiles - 1, 1) * 64 * 64
    if pixels == 1:
        assert seen.tiles == 1


@pytest.mark.parametrize("family", ["internvl", "ovis2"])
def test_an_answer_to_learn_is_labelled_to_its_end(family: str) -> None:
    raw = families.get(family).write([Region("犬", Box(0.1, 0.2, 0.3, 0.4))], image_size=(300, 200))
    inputs = encode(family, user(checkpoints.picture(), "Where?"), task=Task.GROUND, answer=raw)[0]
    learned = inputs["labels"][0][inputs["labels"][0] != -100]
    assert processor(family).tokenizer.decode(learned) == raw + "<|im_end|>"
