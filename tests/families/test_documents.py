"""Families that read pages: PaddleOCR-VL, Granite-Docling, DeepSeek-OCR 2; and DeepSeek-VL, in words."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.families import Parsed
from vlm_app.grounding import bounds
from vlm_app.types import Box, Polygon, Region, Role, Task, Turn

Found = list[tuple[str, str | None, tuple[int, ...]]]
BOX = Box(0.1, 0.2, 0.6, 0.7)


def read(family: str, raw: str) -> Parsed:
    return families.get(family).parse(raw, image_size=(800, 1000), asked=(Task.OCR_REGIONS, ""))


def found(parsed: Parsed, side: int) -> Found:
    """Kind, text and box in units of each region."""
    return [
        (one.label, one.text, tuple(round(value * side) for value in bounds(one.shape).xyxy))
        for one in parsed.regions
    ]


def locs(*values: int) -> str:
    return "".join(f"<|LOC_{value}|>" for value in values)


SPOTTED: list[tuple[str, str, Found]] = [
    # Lines and eight numbers, as Spotting writes them (this text and its numbers are made up).
    (
        f"DREAM{locs(253, 286, 346, 298, 345, 330, 252, 318)}\n"
        f"品牌 é{locs(10, 20, 30, 20, 30, 40, 10, 40)}</s>",
        "DREAM\n品牌 é",
        [("DREAM", "DREAM", (252, 286, 346, 330)), ("品牌 é", "品牌 é", (10, 20, 30, 40))],
    ),
    # No answer of the model is documented: the rows of this table are made up in the two forms that
    # PaddleX reads. The delimited one that `post_process_for_spotting` of PaddleX reads first.
    (
        "<|TEXT_START|>Hello<|TEXT_END|><|LOC_BEGIN|>"
        + locs(100, 200, 300, 200, 300, 400, 100, 400)
        + "<|LOC_END|>",
        "Hello",
        [("Hello", "Hello", (100, 200, 300, 400))],
    ),
    # Cut off inside a number; four numbers are no quad; plain reading has none.
    (
        f"one{locs(1, 2, 30, 2, 30, 40, 1, 40)}\ntwo{locs(1, 2)}<|LO",
        "one\ntwo",
        [("one", "one", (1, 2, 30, 40))],
    ),
    (f"one{locs(1, 2, 3, 4)} two", "one two", []),
    ("a < b [1, 2]\nc", "a < b [1, 2]\nc", []),
    ("", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "regions"), SPOTTED)
def test_paddleocr_vl_s_lines_are_read(raw: str, text: str, regions: Found) -> None:
    parsed = read("paddleocr_vl", raw)
    assert (parsed.text, found(parsed, 1000)) == (text, regions)


def test_a_slanted_line_has_four_corners_and_an_upright_one_is_a_box() -> None:
    raw = f"a{locs(100, 200, 500, 190, 505, 450, 95, 460)}\nb{locs(0, 500, 250, 500, 250, 600, 0, 600)}"
    slanted, upright = read("paddleocr_vl", raw).regions
    assert isinstance(slanted.shape, Polygon) and len(slanted.shape.points) == 4
    assert upright.shape == Box(0, 0.5, 0.25, 0.6)


HEAD = "<section_header_level_1><loc_88><loc_53><loc_413><loc_75>DocLayNet: A Large Dataset"
HEAD += "</section_header_level_1>"
TEXT = "<text><loc_74><loc_85><loc_158><loc_114>Birgit Pfitzmann</text>"
DOCTAGS: list[tuple[str, str, Found]] = [
    # From the tests of docling-core.
    (
        f"<doctag>{HEAD}\n{TEXT}\n<page_break>\n</doctag><|end_of_text|>",
        "DocLayNet: A Large Dataset\n\n\nBirgit Pfitzmann",
        [
            ("section_header_level_1", "DocLayNet: A Large Dataset", (88, 53, 413, 75)),
            ("text", "Birgit Pfitzmann", (74, 85, 158, 114)),
        ],
    ),
    # A table with its caption inside, and a picture with nothing to read.
    (
        "<otsl><loc_1><loc_2><loc_300><loc_40><ched>Region<ched>Q1<nl><fcel>North<fcel>21,132<nl>"
        "<caption><loc_5><loc_6><loc_70><loc_8>Table 1.</caption></otsl>"
        "<picture><loc_9><loc_9><loc_99><loc_99><bar_chart></picture>",
        "Region\tQ1\n\tNorth\t21,132\n\nTable 1.\n\n\npicture",
        [
            ("caption", "Table 1.", (5, 6, 70, 8)),
            ("otsl", "Region\tQ1\n\tNorth\t21,132\n\nTable 1.", (1, 2, 300, 40)),
            ("picture", "picture", (9, 9, 99, 99)),
        ],
    ),
    # Made up from these: cut off, the text stays, the block that is not closed has no place yet.
    (
        f"<doctag>{TEXT}\n<text><loc_1><loc_2><loc_3",
        "Birgit Pfitzmann",
        [("text", "Birgit Pfitzmann", (74, 85, 158, 114))],
    ),
    # Reversed corners, a number too far out, and other tags, which are words.
    ("<text><loc_90><loc_80><loc_10><loc_20>x</text>", "x", [("text", "x", (10, 20, 90, 80))]),
    ("<text><loc_90><loc_80><loc_999><loc_20>x</text>", "x", []),
    ("a <b>bold</b> move", "a <b>bold</b> move", []),
    ("", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "regions"), DOCTAGS)
def test_granite_docling_s_blocks_are_read(raw: str, text: str, regions: Found) -> None:
    parsed = read("granite_docling", raw)
    assert found(parsed, 500) == regions
    assert parsed.text.split() == text.split()
    for one in parsed.regions:
        assert one.span and parsed.text[slice(*one.span)] == one.text


BLOCKS: list[tuple[str, str, Found]] = [
    # From transformers' page on the model, with the text shortened.
    (
        "<|ref|>title<|/ref|><|det|>[[330, 198, 558, 230]]<|/det|>\n# R&D QUALITY\n\n"
        "<|ref|>text<|/ref|><|det|>[[120, 268, 270, 1002]]<|/det|>\nName/Phone Ext. :<｜end▁of▁sentence｜>",
        "# R&D QUALITY Name/Phone Ext. :",
        [
            ("title", "# R&D QUALITY", (330, 198, 558, 230)),
            ("text", "Name/Phone Ext. :", (120, 268, 270, 999)),
        ],
    ),
    # Made up: a picture has no text; the last block's is not known to be whole.
    (
        "<|ref|>image<|/ref|><|det|>[[1, 2, 3, 4]]<|/det|>\n"
        "<|ref|>text<|/ref|><|det|>[[5, 6, 7, 8]]<|/det|>\nHal",
        "image Hal",
        [("image", None, (1, 2, 3, 4))],
    ),
    ("Free text [1, 2].", "Free text [1, 2].", []),
    ("", "", []),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "text", "regions"), BLOCKS)
def test_deepseek_ocr_2_s_blocks_are_read(raw: str, text: str, regions: Found) -> None:
    parsed = read("deepseek_ocr2", raw)
    assert (" ".join(parsed.text.split()), found(parsed, 999)) == (text, regions)


@pytest.mark.parametrize(
    ("family", "reading", "placing"),
    [
        ("paddleocr_vl", "OCR:", "Spotting:"),
        ("granite_docling", "Convert this page to docling.", "Convert this page to docling."),
        ("deepseek_ocr2", "Free OCR.", "<|grounding|>Convert the document to markdown."),
    ],
)
def test_pages_are_asked_for_in_the_official_words(family: str, reading: str, placing: str) -> None:
    assert families.get(family).ask(Task.OCR) == reading
    assert families.get(family).ask(Task.OCR_REGIONS) == placing


# --- what the models get ----------------------------------------------------------------------


@cache
def processor(family: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(family))


def encode(family: str, *parts: Any, task: Task = Task.CHAT, **more: Any) -> tuple[Any, Any, str]:
    turns = [Turn(Role.USER, parts)]
    inputs, seen = families.get(family).encode(processor(family), turns, task=task, **more)
    return inputs, seen, processor(family).tokenizer.decode(inputs["input_ids"][0])


PROMPTS = {
    "paddleocr_vl": (
        "<|IMAGE_PLACEHOLDER|>",
        "<|begin_of_sentence|>User: <|IMAGE_START|><|IMAGE_END|>What?\nAssistant: ",
    ),
    "granite_docling": (
        "<image>",
        "<|start_of_role|>user<|end_of_role|><fake_token_around_image><global-img><fake_token_around_image>"
        "What?<|end_of_text|>\n<|start_of_role|>assistant<|end_of_role|>",
    ),
    "deepseek_ocr2": ("<image>", "\nWhat?"),
    "deepseek_vl": (
        "<image_placeholder>",
        "You are a helpful language and vision assistant. You are able to understand the visual content that "
        "the user provides, and assist the user with a variety of tasks using natural language.\n\n"
        "User: What?\n\nAssistant:",
    ),
}


@pytest.mark.parametrize("family", PROMPTS)
def test_the_prompt_is_the_source_s(family: str) -> None:
    image, prompt = PROMPTS[family]
    _, seen, text = encode(family, checkpoints.picture(size=(60, 60)), "What?")
    tiles = r"<fake_token_around_image><row_\d_col_\d>|\n+(?=<fake_token_around_image>)"
    assert re.sub(tiles, "", text.replace(image, "")) == prompt
    assert text.count(image) == seen.visual_tokens
    assert seen.convention == families.get(family).convention


@pytest.mark.parametrize("size", [(60, 60), (900, 300), (100, 250)])
@pytest.mark.parametrize("pixels", [None, 4000])
def test_paddleocr_vl_s_size_is_that_of_its_patches(size: Any, pixels: int | None) -> None:
    inputs, seen, text = encode("paddleocr_vl", checkpoints.picture(size=size), "x", pixels=pixels)
    _, rows, columns = inputs["image_grid_thw"][0].tolist()
    assert seen.size == (columns * 14, rows * 14)
    assert seen.visual_tokens == text.count("<|IMAGE_PLACEHOLDER|>")


def test_deepseek_ocr_2_s_grounding_is_a_token_in_its_own_words_only() -> None:
    words = families.get("deepseek_ocr2").ask(Task.OCR_REGIONS)
    token = processor("deepseek_ocr2").tokenizer.convert_tokens_to_ids("<|grounding|>")
    for task, count in ((Task.OCR_REGIONS, 1), (Task.CHAT, 0)):
        inputs = encode("deepseek_ocr2", checkpoints.picture(), words, task=task)[0]
        assert inputs["input_ids"][0].tolist().count(token) == count


@pytest.mark.parametrize("family", ["paddleocr_vl", "granite_docling", "deepseek_ocr2"])
def test_an_answer_to_learn_is_labelled_to_its_end(family: str) -> None:
    speaks = families.get(family)
    raw = speaks.write([Region("text", BOX, text="犬 dog")], image_size=(300, 200))
    inputs = encode(family, checkpoints.picture(), "x", task=Task.OCR_REGIONS, answer=raw)[0]
    learned = inputs["labels"][0][inputs["labels"][0] != -100]
    assert processor(family).tokenizer.decode(learned) == raw + speaks.end
