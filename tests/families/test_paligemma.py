"""PaliGemma: instructions, locations with y first, labels that end at a semicolon, boxes of masks."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from vlm_app import families
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.families import Parsed
from vlm_app.families.paligemma import NO_MASK
from vlm_app.types import Box, Region, Role, Seen, Task, Turn

PALIGEMMA = families.get("paligemma")
CAT = "<loc0094><loc0256><loc1022><loc0767> cat"  # y0 x0 y1 x1
CAT_BOX = (256, 94, 767, 1022)  # x0 y0 x1 y1
CODES = "".join(f"<seg{n:03}>" for n in range(16))


def read(text: str, query: str = "", task: Task = Task.DETECT) -> Parsed:
    return PALIGEMMA.parse(text, image_size=(640, 480), asked=(task, query))


def boxes(parsed: Parsed) -> list[tuple[str, tuple[int, ...]]]:
    return [
        (one.label, tuple(round(value * 1023) for value in one.shape.xyxy))
        for one in parsed.regions
        if isinstance(one.shape, Box)
    ]


@pytest.mark.parametrize(
    ("raw", "text", "found"),
    [
        # The card's cat, as the other rows of this table use it: they are made up around it.
        (f"{CAT}<eos>", "cat", [("cat", CAT_BOX)]),
        # What `paligemma-3b-mix-224` answers to 'detect cat' in ms-swift's tests: the whole image.
        ("<loc0000><loc0000><loc1022><loc1022> cat<eos>", "cat", [("cat", (0, 0, 1022, 1022))]),
        # Several classes, and several of one.
        (
            f"{CAT} ; <loc0001><loc0002><loc0003><loc0004> dog ; {CAT}<eos>",
            "cat, dog, cat",
            [("cat", CAT_BOX), ("dog", (2, 1, 4, 3)), ("cat", CAT_BOX)],
        ),
        # Four numbers, sixteen codes and a label: the box of the mask.
        (f"<loc0094><loc0256><loc1022><loc0767>{CODES} cat<eos>", "cat", [("cat", CAT_BOX)]),
        # Cut off in a number, in a place, in the codes, in a label.
        (f"{CAT} ; <loc0001><loc00", "cat", [("cat", CAT_BOX)]),
        (f"{CAT} ; <loc0001><loc0002>", "cat", [("cat", CAT_BOX)]),
        (f"{CAT} ; <loc0001><loc0002><loc0003><loc0004>{CODES[:20]}", "cat", [("cat", CAT_BOX)]),
        (f"{CAT} ; <loc0001><loc0002><loc0003><loc0004> do", "cat", [("cat", CAT_BOX)]),
        # Three numbers lose one object.
        (f"<loc0001><loc0002><loc0003> dog ; {CAT}<eos>", "dog ; cat", [("cat", CAT_BOX)]),
        # Corners the wrong way round.
        ("<loc1022><loc0767><loc0094><loc0256> cat<eos>", "cat", [("cat", CAT_BOX)]),
        # No such location.
        ("<loc2000><loc0767><loc0094><loc0256> cat<eos>", "cat", []),
        # Labels with quotes, full stops and other scripts, which supervision cuts off.
        (f"{CAT[:-4]} Dr. O'Neil's 猫<eos>", "Dr. O'Neil's 猫", [("Dr. O'Neil's 猫", CAT_BOX)]),
        # Nothing found, in words; what comes after the end.
        ("no<eos>more", "no", []),
        ("<think>[1, 2]</think> A cat.<eos>", "<think>[1, 2]</think> A cat.", []),
        ("", "", []),
        ("<eos>", "", []),
    ],
)
def test_objects_are_read(raw: str, text: str, found: list[tuple[str, tuple[int, ...]]]) -> None:
    parsed = read(raw)
    assert parsed.text == text
    assert boxes(parsed) == found
    for one in parsed.regions:
        assert one.span and parsed.text[slice(*one.span)] == one.label


def test_a_label_that_was_asked_for_needs_nothing_behind_it() -> None:
    # A server strips the end token, and a stream should not wait for it.
    assert boxes(read(CAT, "cat, dog")) == [("cat", CAT_BOX)]
    assert boxes(read(CAT, "cat, cat food")) == []
    assert boxes(read(f"{CAT} food<eos>", "cat, cat food")) == [("cat food", CAT_BOX)]


def test_an_object_without_a_label_is_what_was_asked_for() -> None:
    parsed = read(f"{CAT[:-4]}<eos>", "cat", Task.SEGMENT)
    assert (parsed.text, boxes(parsed)) == ("cat", [("cat", CAT_BOX)])


def test_what_is_written_is_the_official_form() -> None:
    regions = [Region("cat", Box(0.25, 0.1, 0.5, 1.0)), Region("dog", Box(0.0, 0.0, 0.1, 0.2))]
    raw = PALIGEMMA.write(regions, image_size=(9, 9), asked=(Task.DETECT, "cat, dog"))
    assert raw == "<loc0102><loc0256><loc1023><loc0512> cat ; <loc0000><loc0000><loc0205><loc0102> dog"


def test_masks_cannot_be_written() -> None:
    with pytest.raises(ModelUnavailable):
        PALIGEMMA.write([Region("cat", Box(0, 0, 1, 1))], image_size=(9, 9), asked=(Task.SEGMENT, "cat"))


@pytest.mark.parametrize(
    ("task", "query", "words"),
    [
        (Task.CHAT, "What is it?", "What is it?"),
        (Task.CAPTION, "", "caption en"),
        (Task.OCR, "", "ocr"),
        (Task.DETECT, "cat, dog", "detect cat ; dog"),
        (Task.COUNT, "cat", "detect cat"),
        (Task.SEGMENT, "cat", "segment cat"),
    ],
)
def test_a_task_is_asked_in_the_model_s_words(task: Task, query: str, words: str) -> None:
    assert PALIGEMMA.ask(task, query) == words


def test_detection_needs_to_know_what() -> None:
    with pytest.raises(BadInput, match="needs to know"):
        PALIGEMMA.ask(Task.DETECT, " ; ")


@cache
def processor() -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint("paligemma"))


def encode(words: str, task: Task = Task.CHAT, *after: Turn, **more: Any) -> tuple[dict[str, Any], Seen]:
    turns = [Turn(Role.USER, (checkpoints.picture(), words)), *after]
    return PALIGEMMA.encode(processor(), turns, task=task, **more)


def test_the_prompt_is_the_processor_s_own() -> None:
    import torch

    inputs, seen = encode("detect cat ; dog")
    image = checkpoints.picture().pixels
    theirs = processor()(text="<image>detect cat ; dog", images=image)
    assert inputs["input_ids"].tolist() == theirs["input_ids"]
    assert inputs["token_type_ids"].tolist() == theirs["token_type_ids"]
    assert torch.equal(inputs["pixel_values"][0], theirs["pixel_values"][0])
    assert seen.size == (56, 56)
    assert seen.visual_tokens == inputs["input_ids"][0].tolist().count(processor().image_token_id) == 16
    assert processor().tokenizer.decode(inputs["input_ids"][0][16:]) == "<s>detect cat ; dog\n"


def test_the_answer_to_learn_is_the_processor_s_own() -> None:
    inputs, _ = encode("detect cat", answer=CAT)
    image = checkpoints.picture().pixels
    theirs = processor()(text="<image>detect cat", images=image, suffix=CAT)
    for name in ("input_ids", "labels", "token_type_ids"):
        assert inputs[name].tolist() == [list(row) for row in theirs[name]], name


def test_an_answer_that_goes_on_is_read_from_left_to_right() -> None:
    inputs, _ = encode("detect cat", Task.CHAT, Turn(Role.ASSISTANT, (f"{CAT} ; <loc0001>",)))
    assert processor().tokenizer.decode(inputs["input_ids"][0]).endswith(f"\n{CAT} ; <loc0001>")
    assert inputs["token_type_ids"][0, -1] == 1


def test_the_user_is_told_why_a_mask_is_a_box() -> None:
    assert encode("segment cat", Task.SEGMENT)[1].note == NO_MASK
    assert encode("detect cat", Task.DETECT)[1].note == ""
