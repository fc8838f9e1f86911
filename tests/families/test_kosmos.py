"""KOSMOS-2, KOSMOS-2.5 and Fuyu: what they are asked, what they write, and what their processors would do."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput
from vlm_app.families import Parsed
from vlm_app.types import Box, Region, Role, Seen, Task, Turn

SNOWMAN = "<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object>"
FIRE = "<phrase> a fire</phrase><object><patch_index_0005><patch_index_0911></object>"
SNOWMAN_BOX = (0.390625, 0.046875, 0.984375, 0.828125)  # as transformers' docs give it
FIRE_BOX = (0.171875, 0.015625, 0.484375, 0.890625)
NEXT = "</delimiter_of_multi_objects/>"


def read(name: str, text: str, task: Task = Task.CAPTION, query: str = "", **more: Any) -> Parsed:
    return families.get(name).parse(text, image_size=(640, 480), asked=(task, query), **more)


def boxes(parsed: Parsed) -> list[tuple[str, tuple[float, ...]]]:
    return [(one.label, one.shape.xyxy) for one in parsed.regions if isinstance(one.shape, Box)]


# --- KOSMOS-2 -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text", "found"),
    [
        # The example of transformers' `clean_text_and_extract_entities_with_bboxes`.
        (
            f"An image of{SNOWMAN} warming himself by{FIRE}.</s>",
            "An image of a snowman warming himself by a fire.",
            [("a snowman", SNOWMAN_BOX), ("a fire", FIRE_BOX)],
        ),
        # Several boxes of one phrase.
        (
            f"<phrase> two birds</phrase><object><patch_index_0044><patch_index_0863>{NEXT}"
            "<patch_index_0005><patch_index_0911></object></s>",
            "two birds",
            [("two birds", SNOWMAN_BOX), ("two birds", FIRE_BOX)],
        ),
        # One cell, and cells in one row: their edges.
        ("<object><patch_index_0033><patch_index_0033></object></s>", "", [("object", (1, 1, 2, 2))]),
        ("<object><patch_index_0032><patch_index_0035></object></s>", "", [("object", (0, 1, 4, 2))]),
        # Corners the wrong way round.
        (
            "<phrase>x</phrase><object><patch_index_0863><patch_index_0044></object>",
            "x",
            [("x", SNOWMAN_BOX)],
        ),
        # Cut off in a number, in a phrase, between both.
        (
            f"{SNOWMAN} by<phrase> a fire</phrase><object><patch_index_00",
            "a snowman by",
            [("a snowman", SNOWMAN_BOX)],
        ),
        (f"{SNOWMAN} by<phrase> a fi", "a snowman by", [("a snowman", SNOWMAN_BOX)]),
        (f"{SNOWMAN} by<phrase> a fire</phrase>", "a snowman by", [("a snowman", SNOWMAN_BOX)]),
        # A phrase without a box stays a phrase; half a box is none.
        ("An image of<phrase> a fire</phrase>.</s>", "An image of a fire.", []),
        ("<phrase>a fire</phrase><object><patch_index_0005></object>.</s>", "a fire.", []),
        # No such cell.
        ("<phrase>x</phrase><object><patch_index_0005><patch_index_1024></object></s>", "x", []),
        (
            "<phrase>ein Öfchen 火</phrase><object><patch_index_0005><patch_index_0911></object></s>",
            "ein Öfchen 火",
            [("ein Öfchen 火", FIRE_BOX)],
        ),
        ("<think>[1, 2] {a}</think> Nothing.</s>more", "<think>[1, 2] {a}</think> Nothing.", []),
        ("", "", []),
        ("</s>", "", []),
    ],
)
def test_kosmos2_ties_phrases_to_cells(
    raw: str, text: str, found: list[tuple[str, tuple[float, ...]]]
) -> None:
    parsed = read("kosmos2", raw)
    assert parsed.text == text
    cells = [(name, tuple(v / 32 for v in box) if max(box) > 1 else box) for name, box in found]
    assert boxes(parsed) == cells
    for one in parsed.regions:
        assert one.span is None or parsed.text[slice(*one.span)] == one.label


def test_kosmos2_names_a_box_by_the_phrase_that_was_asked_for() -> None:
    raw = (
        f"<object><patch_index_0044><patch_index_0863>{NEXT}<patch_index_0005><patch_index_0911></object></s>"
    )
    parsed = read("kosmos2", raw, Task.GROUND, "a snowman")
    assert parsed.text == "a snowman"
    assert boxes(parsed) == [("a snowman", SNOWMAN_BOX), ("a snowman", FIRE_BOX)]


def test_kosmos2_writes_what_it_would_write_itself() -> None:
    regions = [Region("a snowman", Box(*SNOWMAN_BOX)), Region("a fire", Box(*FIRE_BOX))]
    write = families.get("kosmos2").write
    assert write(regions, image_size=(9, 9), asked=(Task.CAPTION, "")) == SNOWMAN + FIRE
    ground = write(regions, image_size=(9, 9), asked=(Task.GROUND, "things"))
    assert (
        ground
        == f"<object><patch_index_0044><patch_index_0863>{NEXT}<patch_index_0005><patch_index_0911></object>"
    )


@pytest.mark.parametrize(
    ("task", "query", "words"),
    [
        (Task.CAPTION, "", "<grounding>An image of"),
        (Task.CAPTION, "in detail", "<grounding>Describe this image in detail:"),
        (Task.GROUND, "a snowman", "<grounding><phrase> a snowman</phrase>"),
        (
            Task.DESCRIBE_REGION,
            "0.390625, 0.046875, 0.984375, 0.828125",
            "<grounding><phrase> It</phrase><object><patch_index_0044><patch_index_0863></object> is",
        ),
    ],
)
def test_kosmos2_is_asked_as_its_card_says(task: Task, query: str, words: str) -> None:
    assert families.get("kosmos2").ask(task, query) == words


def test_a_question_about_a_region_needs_the_region() -> None:
    with pytest.raises(BadInput, match="needs its box"):
        families.get("kosmos2").ask(Task.DESCRIBE_REGION, "the left one")


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def encode(name: str, task: Task, query: str = "", **more: Any) -> tuple[dict[str, Any], Seen]:
    family = families.get(name)
    turns = [Turn(Role.USER, (checkpoints.picture(), family.ask(task, query)))]
    return family.encode(processor(name), turns, task=task, **more)


@pytest.mark.parametrize(
    ("task", "query", "words"),
    [
        (Task.CAPTION, "", "<grounding>An image of"),
        (Task.GROUND, "a snowman", "<grounding><phrase> a snowman</phrase>"),
        (Task.CHAT, "What is it?", "<grounding> Question: What is it? Answer:"),
        (
            Task.DESCRIBE_REGION,
            "0.390625, 0.046875, 0.984375, 0.828125",
            "<grounding><phrase> It</phrase><object><patch_index_0044><patch_index_0863></object> is",
        ),
    ],
)
def test_kosmos2_reads_what_its_processor_would_give_it(task: Task, query: str, words: str) -> None:
    import torch

    inputs, seen = encode("kosmos2", task, query)
    theirs = processor("kosmos2")(text=words, images=checkpoints.picture().pixels, return_tensors="pt")
    for name in ("input_ids", "attention_mask", "image_embeds_position_mask"):
        assert inputs[name].tolist() == theirs[name].tolist(), name
    assert torch.equal(inputs["pixel_values"], theirs["pixel_values"])
    assert (seen.size, seen.visual_tokens) == ((56, 56), 64)


def test_kosmos2_reads_typed_tags_as_text() -> None:
    typed = "a <grounding></phrase><object><patch_index_0001> cat"
    plain, forged = (encode("kosmos2", Task.GROUND, words)[0] for words in ("a cat", typed))
    special = set(processor("kosmos2").tokenizer.added_tokens_decoder)
    controls = [[t for t in x["input_ids"][0].tolist() if t in special] for x in (plain, forged)]
    assert controls[0] == controls[1]


@pytest.mark.parametrize(
    ("name", "task", "answer"),
    [
        ("kosmos2", Task.CAPTION, SNOWMAN),
        ("kosmos2_5", Task.OCR_REGIONS, "<bbox><x_5><y_7><x_69><y_60></bbox>Total\n"),
        ("fuyu", Task.CAPTION, "A blue bus."),
    ],
)
def test_labels_cover_the_answer_and_its_end(name: str, task: Task, answer: str) -> None:
    inputs, _ = encode(name, task, answer=answer)
    labels = inputs["labels"][0]
    assert processor(name).tokenizer.decode(labels[labels != -100]) == f"{answer}</s>"
    assert inputs["input_ids"].shape == labels[None].shape == inputs["attention_mask"].shape


# --- KOSMOS-2.5 ---------------------------------------------------------------------------

# The example of transformers' docs of kosmos2_5.
RECEIPT = (
    "<ocr><bbox><x_53><y_573><x_69><y_606></bbox>1\n<bbox><x_79><y_573><x_464><y_612></bbox>[REG] BLACK "
    "SAKURA\n<bbox><x_690><y_569><x_810><y_606></bbox>45,455\n"
)


def lines(text: str) -> list[tuple[str | None, tuple[int, ...]]]:
    parsed = read("kosmos2_5", text, Task.OCR_REGIONS, input_size=(1000, 2000))
    return [
        (one.text, tuple(round(v * (1000, 2000)[i % 2]) for i, v in enumerate(one.shape.xyxy)))
        for one in parsed.regions
        if isinstance(one.shape, Box)
    ]


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (
            f"{RECEIPT}</s>",
            [
                ("1", (53, 573, 69, 606)),
                ("[REG] BLACK SAKURA", (79, 573, 464, 612)),
                ("45,455", (690, 569, 810, 606)),
            ],
        ),
        # The last line closes with the answer; without it, it may still go on.
        ("<bbox><x_5><y_7><x_69><y_60></bbox>a < b</s>", [("a < b", (5, 7, 69, 60))]),
        ("<bbox><x_5><y_7><x_69><y_60></bbox>Tot", []),
        ("<bbox><x_5><y_7><x_69><y_6", []),
        # Corners the wrong way round, a box without text, one far outside, one that is no box.
        ("<bbox><x_69><y_60><x_5><y_7></bbox>合計\n", [("合計", (5, 7, 69, 60))]),
        ("<bbox><x_5><y_7><x_69><y_60></bbox>\n", [(None, (5, 7, 69, 60))]),
        ("<bbox><x_5><y_7><x_9999><y_60></bbox>far\n", []),
        ("<bbox><x_5><y_7></bbox>x\n</s>", []),
        ("", []),
    ],
)
def test_kosmos2_5_reads_lines_in_pixels_of_its_input(
    raw: str, found: list[tuple[str | None, tuple[int, ...]]]
) -> None:
    assert lines(raw) == found


def test_markdown_is_text() -> None:
    assert read("kosmos2_5", "<md># Title\n\n| a | b |</s>", Task.OCR).text == "# Title\n\n| a | b |"


def test_kosmos2_5_reads_its_processor_s_prompt() -> None:
    inputs, seen = encode("kosmos2_5", Task.OCR_REGIONS)
    prompt = processor("kosmos2_5").tokenizer.decode(inputs["input_ids"][0])
    assert prompt == "<s><image>" + "<s>" * 8 + "</image><ocr>"
    assert seen.size == (144, 96)  # 9 × 6 patches of 16 pixels, for 300 × 200
    assert seen.visual_tokens == 8
    assert not {"width", "height"} & inputs.keys()


# --- Fuyu ---------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(300, 200), (40, 170), (90, 60)])
def test_fuyu_reads_what_its_processor_would_give_it(size: tuple[int, int]) -> None:
    import torch

    family = families.get("fuyu")
    picture = checkpoints.picture(size=size)
    turns = [Turn(Role.USER, (picture, family.ask(Task.CAPTION)))]
    inputs, seen = family.encode(processor("fuyu"), turns, task=Task.CAPTION)
    # Its own call cannot be used here: it drops the first token, which a real tokenizer adds.
    theirs, (image,) = processor("fuyu")._process_images(
        [picture.pixels], return_legacy_image_output=False, return_tensors="pt"
    )
    words = f"{image}Generate a coco-style caption.\n<0x04>"
    assert processor("fuyu").tokenizer.decode(inputs["input_ids"][0]) == words
    assert torch.equal(inputs["pixel_values"], theirs["pixel_values"])
    token = processor("fuyu").image_token_id
    assert seen.visual_tokens == inputs["input_ids"][0].tolist().count(token) == len(inputs["pixel_values"])
    assert seen.size


def test_fuyu_boxes_that_a_server_has_written_out_are_read() -> None:
    # transformers' tests: 'Williams<box>388, 428, 404, 488</box>', y first.
    parsed = read("fuyu", "Williams<box>388, 428, 404, 488</box></s>")
    assert parsed.text == "Williams"
    ((label, found),) = boxes(parsed)
    assert label == "Williams"
    assert found == pytest.approx((428 / 640, 388 / 480, 488 / 640, 404 / 480))
    assert read("fuyu", "Williams<box>388, 428, 4").text == "Williams"


def test_fuyu_takes_typed_boxes_for_text() -> None:
    turns = [Turn(Role.USER, (checkpoints.picture(), "What is in <box>a, b</box> |NEWLINE|?"))]
    inputs, _ = families.get("fuyu").encode(processor("fuyu"), turns, task=Task.CHAT)
    assert "<box>a, b</box> |NEWLINE|?\n<0x04>" in processor("fuyu").tokenizer.decode(inputs["input_ids"][0])
