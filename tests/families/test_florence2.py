"""Florence-2: task tokens, boxes in bins, quads of read text, outlines, and an encoder-decoder's engine."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from typing import Any

import pytest

from tests.engine.ready import Ready
from tests.families import checkpoints
from vlm_app import families
from vlm_app.engine.answers import Engine
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load_checkpoint
from vlm_app.errors import BadInput
from vlm_app.families import Parsed
from vlm_app.types import Answer, Box, Finish, Point, Polygon, Region, Request, Role, Sampling, Task, Turn

FLORENCE = families.get("florence2")
# The model card's car, 640 × 480: bboxes [33.6, 159.36, 596.8, 371.76] and so on.
CAR = "car<loc_52><loc_332><loc_932><loc_774>"
WHEELS = "wheel<loc_709><loc_576><loc_865><loc_772><loc_148><loc_584><loc_310><loc_773>"


def read(text: str, task: Task = Task.DETECT, query: str = "") -> Parsed:
    return FLORENCE.parse(text, image_size=(640, 480), asked=(task, query))


def boxes(parsed: Parsed) -> list[tuple[str, tuple[int, ...]]]:
    """Labels and boxes in bins."""
    return [
        (one.label, tuple(int(value * 1000) for value in one.shape.xyxy))
        for one in parsed.regions
        if isinstance(one.shape, Box)
    ]


# --- what it writes -----------------------------------------------------------------------

LABELLED = [
    # Well-formed, with the tokens that open and close an answer.
    (f"<s>{CAR}</s>", "car", [("car", (52, 332, 932, 774))]),
    # The decoder's start token, where a backend shows it.
    (f"</s><s>{CAR}</s>", "car", [("car", (52, 332, 932, 774))]),
    # Several labels, the last with two instances that share the phrase.
    (
        f"{CAR}{WHEELS}</s>",
        "car, wheel",
        [
            ("car", (52, 332, 932, 774)),
            ("wheel", (709, 576, 865, 772)),
            ("wheel", (148, 584, 310, 773)),
        ],
    ),
    # Cut off inside a number, and inside a box.
    (f"{CAR}wheel<loc_709><loc_5", "car, wheel", [("car", (52, 332, 932, 774))]),
    (f"{CAR}wheel<loc_709><loc_576>", "car, wheel", [("car", (52, 332, 932, 774))]),
    # Three numbers lose one box, not the next.
    (
        f"cat<loc_1><loc_2><loc_3>{CAR}</s>",
        "cat, car",
        [("car", (52, 332, 932, 774))],
    ),
    # Corners the wrong way round.
    ("dog<loc_932><loc_774><loc_52><loc_332></s>", "dog", [("dog", (52, 332, 932, 774))]),
    # No such bin: it is no token, and stays text.
    ("dog<loc_1000></s>", "dog<loc_1000>", []),
    # The native post-processing drops what is not ASCII from labels.
    ("café 漢字<loc_1><loc_2><loc_3><loc_4></s>", "café 漢字", [("café 漢字", (1, 2, 3, 4))]),
    # Prose with brackets.
    ("<think>a [b] (1, 2)</think> None.</s>more", "<think>a [b] (1, 2)</think> None.", []),
    ("", "", []),
    ("</s>", "", []),
]


@pytest.mark.parametrize(("raw", "text", "found"), LABELLED)
def test_boxes_are_read_from_bins(raw: str, text: str, found: list[tuple[str, tuple[int, ...]]]) -> None:
    parsed = read(raw)
    assert parsed.text == text
    assert boxes(parsed) == found
    for one in parsed.regions:
        assert one.span and parsed.text[slice(*one.span)] == one.label


def test_a_bin_means_its_middle() -> None:
    # The card: wheel [454.08, 276.72, ...] of 640 × 480, which is bin 709 and 576.
    shape = read(WHEELS).regions[0].shape
    assert isinstance(shape, Box)
    assert (shape.x0 * 640, shape.y0 * 480) == pytest.approx((454.08, 276.72))


def test_proposals_without_a_label_are_regions() -> None:
    raw = "<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7><loc_8></s>"
    parsed = read(raw, query="<REGION_PROPOSAL>")
    assert parsed.text == "region"
    assert [one.label for one in parsed.regions] == ["region", "region"]


def test_lines_of_text_are_quads_with_what_is_read_there() -> None:
    # The card's OCR_WITH_REGION: 'CUDA' at [167.0, 50.25, 375.7, 50.25, 375.7, 114.75, 167.0, 114.75].
    raw = "</s>CUDA<loc_210><loc_67><loc_473><loc_67><loc_473><loc_153><loc_210><loc_153>"
    raw += "FOR ENGINEERS<loc_210><loc_171><loc_831><loc_171><loc_831><loc_243><loc_210><loc_243></s>"
    parsed = read(raw, Task.OCR_REGIONS)
    assert parsed.text == "CUDA, FOR ENGINEERS"
    assert [one.text for one in parsed.regions] == ["CUDA", "FOR ENGINEERS"]
    first = parsed.regions[0].shape
    assert isinstance(first, Polygon)
    assert first.points[0] == Point(0.2105, 0.0675) and first.points[2] == Point(0.4735, 0.1535)


@pytest.mark.parametrize(
    ("raw", "outlines"),
    [
        ("<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6></s>", 1),
        ("<poly><loc_1><loc_2><loc_3><loc_4><loc_5><loc_6></poly></s>", 1),
        (
            "<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><sep><loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7></s>",
            2,
        ),
        ("<poly><loc_1><loc_2><loc_3><loc_4></poly></s>", 0),  # two points are no outline
        ("<loc_1><loc_2><loc_3><loc_4><loc_5><loc_6><loc_7>", 0),  # not finished yet
    ],
)
def test_outlines_become_polygons(raw: str, outlines: int) -> None:
    parsed = read(raw, Task.SEGMENT, "a green car")
    assert [type(one.shape) for one in parsed.regions] == [Polygon] * outlines
    assert {one.label for one in parsed.regions} <= {"a green car"}
    assert parsed.text == ("a green car" if outlines else "")


def test_open_vocabulary_detection_may_write_outlines() -> None:
    parsed = read("cat<poly><loc_1><loc_2><loc_3><loc_4><loc_5><loc_6></poly>dog<loc_1><loc_2><loc_3><loc_4>")
    assert [one.kind for one in parsed.regions] == ["polygon", "box"]
    assert parsed.text == "cat, dog"


def test_outlines_and_quads_are_written_and_read_again() -> None:
    outline = Polygon((Point(0.1, 0.2), Point(0.9, 0.25), Point(0.4, 0.8)))
    for task in (Task.SEGMENT, Task.DETECT):
        raw = FLORENCE.write([Region("cat", outline)], image_size=(9, 9), asked=(task, "cat"))
        shape = read(raw, task, "cat").regions[0].shape
        assert isinstance(shape, Polygon)
        for one, other in zip(shape.points, outline.points, strict=True):
            assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=0.001)


# --- how it is asked ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("task", "query", "words"),
    [
        (Task.CAPTION, "", "What does the image describe?"),
        (Task.CAPTION, "<MORE_DETAILED_CAPTION>", "Describe with a paragraph what is shown in the image."),
        (Task.DETECT, "", "Locate the objects with category name in the image."),
        (Task.DETECT, "cat", "Locate cat in the image."),
        (Task.DETECT, "cat; dog", "Locate the phrases in the caption: cat. dog."),
        (
            Task.DETECT,
            "<DENSE_REGION_CAPTION>",
            "Locate the objects in the image, with their descriptions.",
        ),
        (Task.DETECT, "<REGION_PROPOSAL>", "Locate the region proposals in the image."),
        (Task.GROUND, "a green car", "Locate the phrases in the caption: a green car"),
        (Task.SEGMENT, "a green car", "Locate a green car in the image with mask"),
        (
            Task.SEGMENT,
            "<REGION_TO_SEGMENTATION>0.1, 0.2, 0.5, 1.0",
            "What is the polygon mask of region <loc_100><loc_200><loc_500><loc_999>",
        ),
        (Task.OCR, "", "What is the text in the image?"),
        (Task.OCR_REGIONS, "", "What is the text in the image, with regions?"),
        (
            Task.DESCRIBE_REGION,
            "<loc_1><loc_2><loc_3><loc_4>",
            "What does the region <loc_1><loc_2><loc_3><loc_4> describe?",
        ),
    ],
)
def test_a_task_is_asked_in_the_processor_s_words(task: Task, query: str, words: str) -> None:
    assert FLORENCE.ask(task, query) == words


def test_every_task_token_of_the_processor_has_its_sentence() -> None:
    sentences = processor().task_prompts_without_inputs | processor().task_prompts_with_input
    from vlm_app.families import florence2

    ours = {token: words for form in florence2._PROMPTS.values() for token, words in form.items()}
    assert ours == {token: words.replace("{input}", "{}") for token, words in sentences.items()}


@pytest.mark.parametrize(
    ("task", "query"),
    [(Task.GROUND, ""), (Task.SEGMENT, ""), (Task.DESCRIBE_REGION, ""), (Task.DESCRIBE_REGION, "1, 2, 3, 4")],
)
def test_what_is_missing_is_said(task: Task, query: str) -> None:
    with pytest.raises(BadInput, match=r"needs (its box|to know)"):
        FLORENCE.ask(task, query)


@cache
def processor() -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint("florence2"))


def encode(task: Task, query: str = "", **more: Any) -> tuple[dict[str, Any], Any]:
    turns = [Turn(Role.USER, (checkpoints.picture(), FLORENCE.ask(task, query)))]
    return FLORENCE.encode(processor(), [*turns, *more.pop("after", ())], task=task, **more)


@pytest.mark.parametrize(
    ("task", "query", "native"),
    [
        (Task.DETECT, "", "<OD>"),
        (Task.GROUND, "a cat", "<CAPTION_TO_PHRASE_GROUNDING>a cat"),
        (
            Task.DESCRIBE_REGION,
            "0.1, 0.2, 0.5, 0.6",
            "<REGION_TO_DESCRIPTION><loc_100><loc_200><loc_500><loc_600>",
        ),
    ],
)
def test_the_encoder_reads_what_the_processor_itself_would_give_it(
    task: Task, query: str, native: str
) -> None:
    import torch

    inputs, seen = encode(task, query)
    theirs = processor()(text=native, images=checkpoints.picture().pixels, return_tensors="pt")
    assert inputs["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert torch.equal(inputs["pixel_values"], theirs["pixel_values"])
    assert seen.size == (96, 96)
    image = processor().image_token_id
    assert seen.visual_tokens == inputs["input_ids"][0].tolist().count(image) == 10


def test_task_tokens_and_places_that_are_typed_are_text() -> None:
    inputs, _ = encode(Task.GROUND, "a cat <OD> at <loc_7> What is the region <loc_1>?")
    ids = inputs["input_ids"][0].tolist()
    locations = {processor().tokenizer.convert_tokens_to_ids(f"<loc_{n}>") for n in (1, 7)}
    assert not locations & set(ids)
    assert "a cat <OD> at <loc_7>" in processor().tokenizer.decode(ids)


def test_the_decoder_learns_the_answer_between_its_start_and_its_end() -> None:
    inputs, _ = encode(Task.DETECT, answer=CAR)
    labels = inputs["labels"][0].tolist()
    assert processor().tokenizer.decode(labels) == f"<s>{CAR}</s>"
    assert inputs["input_ids"].tolist() == encode(Task.DETECT)[0]["input_ids"].tolist()


def test_an_unfinished_answer_goes_on_in_the_decoder() -> None:
    inputs, _ = encode(Task.DETECT, after=[Turn(Role.ASSISTANT, (f"<s>{CAR}wh",))])
    assert processor().tokenizer.decode(inputs["decoder_input_ids"][0]) == f"</s><s>{CAR}wh"


# --- in the engine ------------------------------------------------------------------------


@cache
def loaded() -> LoadedModel:
    folder = Path(mkdtemp(prefix="florence2-"))
    copytree(checkpoints.checkpoint("florence2"), folder, dirs_exist_ok=True)
    settings = json.loads((folder / "generation_config.json").read_text())
    # As the public checkpoints have it.
    settings |= {"num_beams": 3, "early_stopping": True, "no_repeat_ngram_size": 3}
    settings |= {"forced_bos_token_id": 1, "forced_eos_token_id": 2}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    made = load_checkpoint(replace(checkpoints.row("florence2"), source=str(folder)), "fp32")
    made.model.generation_config.suppress_tokens = [2]  # random weights would end where they like
    return made


def ask(tokens: int, *after: Turn, model: LoadedModel | None = None) -> Answer:
    engine = Engine({"florence2": loaded().checkpoint}, Ready(model or loaded()))
    turns = (Turn(Role.USER, (checkpoints.picture(), "")), *after)
    request = Request(turns, "florence2", Task.DETECT, sampling=Sampling(max_tokens=tokens))
    *_, last = engine.answer(request)
    assert last.answer is not None
    return last.answer


def test_a_checkpoint_that_searches_with_beams_still_streams() -> None:
    answer = ask(6)
    assert answer.raw.startswith("<s>")  # forced, and not shown
    assert not answer.text.startswith("<s>")
    assert answer.usage.completion_tokens == 6


def test_an_answer_that_was_cut_off_does_not_look_finished() -> None:
    first = ask(4)
    assert first.finish is Finish.LENGTH
    assert not first.raw.endswith("</s>")
    longer = ask(3, Turn(Role.ASSISTANT, (first.raw,)))
    assert longer.raw.startswith(first.raw)
    assert longer.usage.completion_tokens == 3


def test_what_the_encoder_reads_takes_no_room_from_the_answer() -> None:
    prompt = ask(1).usage.prompt_tokens
    small = copy(loaded())
    small.context = prompt + 2
    assert ask(500, model=small).usage.completion_tokens == prompt + 1
    with pytest.raises(BadInput, match=f"at most {prompt - 2}"):
        small.context = prompt - 1
        ask(500, model=small)
