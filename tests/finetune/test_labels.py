"""Inputs and labels: training sees what chat sees, and learns the answer alone."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from tests.families import checkpoints
from tests.finetune.written_examples import BOX, example, picture, read
from tests.sizes import LABELLED_FAMILIES
from vlm_app import families
from vlm_app.engine.checks import asked_turns
from vlm_app.errors import AppError
from vlm_app.finetune.examples import Example
from vlm_app.finetune.writing import inputs, seen_size, written, written_for
from vlm_app.types import Request, Role, Task, Turn

# --- inputs and labels ------------------------------------------------------------------


FIRST = ("smolvlm", "qwen2_5_vl", "internvl", "paligemma", "florence2", "kosmos2", "llava")
TINY = sorted(checkpoints.names(), key=lambda name: (name not in FIRST, name))[:LABELLED_FAMILIES]


@cache
def processor(name: str) -> Any:
    from transformers import AutoProcessor

    return AutoProcessor.from_pretrained(checkpoints.checkpoint(name))


def tiny_example(name: str) -> Example:
    tasks = checkpoints.family(name).tasks
    if Task.DETECT in tasks or Task.GROUND in tasks:
        return example(Task.DETECT, BOX)
    task = next(task for task in (Task.CAPTION, Task.OCR) if task in tasks)
    return example(task, text="A red circle left of a house. " * 40)


@pytest.mark.parametrize("name", TINY)
def test_only_the_answer_and_its_end_carry_loss_and_nothing_is_cut(name: str) -> None:
    family, made = checkpoints.family(name), processor(name)
    taught = tiny_example(name)
    batch = inputs(family, made, taught)
    answer = written_for(taught, family, made).answer
    assert answer
    labels = batch["labels"][0].tolist()
    learned = [label for label in labels if label != -100]
    tokenizer = made.tokenizer
    known = family.end in tokenizer.get_vocab()
    closing = family.end if known else tokenizer.eos_token  # of a base model of the family
    end = tokenizer.convert_tokens_to_ids(closing)
    assert learned[-1] == end and learned.count(end) == 1
    said = tokenizer.decode(learned, skip_special_tokens=False).removesuffix(closing)
    assert said.replace(" ", "").removeprefix("<s>") == answer.strip().replace(" ", "")
    image = tokenizer.convert_tokens_to_ids(str(getattr(made, "image_token", "<image>")))
    assert image not in learned
    if batch["labels"].shape == batch["input_ids"].shape:  # an encoder-decoder learns apart from its prompt
        assert labels[-len(learned) :] == learned  # one run, at the end
        assert batch["input_ids"][0, -len(learned) :].tolist() == learned


@pytest.mark.parametrize("name", TINY)
def test_an_example_is_asked_with_the_tokens_of_chat(name: str) -> None:
    family, made = checkpoints.family(name), processor(name)
    taught = tiny_example(name)
    task = written(taught, family).task
    request = Request((Turn(Role.USER, taught.pictures),), name, task, taught.query)
    chat = family.encode(made, asked_turns(request, family), task=task)[0]["input_ids"][0].tolist()
    ids = inputs(family, made, taught)["input_ids"][0].tolist()
    assert ids[: len(chat)] == chat


@pytest.mark.parametrize("pixels", [None, 40_000])
def test_pixels_are_those_of_the_image_as_the_model_sees_it(pixels: int | None) -> None:
    family, made = families.get("qwen2_5_vl"), processor("qwen2_5_vl")
    taught = example(Task.DETECT, BOX, pictures=(picture((903, 517)),))
    asked = written(taught, family)
    size = seen_size(taught, family, made, pixels)
    assert size == family.encode(made, asked.turns, task=Task.DETECT, pixels=pixels)[1].size != (903, 517)
    resized = written_for(taught, family, made, pixels)
    assert resized.answer != asked.answer
    (found,) = read(family, resized, size).regions
    for value, wanted, side in zip(found.shape.xyxy, BOX.xyxy, (*size, *size), strict=True):
        assert abs(value - wanted) <= 1 / side


def test_an_example_without_that_answer_has_no_inputs() -> None:
    with pytest.raises(AppError, match="no wrong answer"):
        inputs(families.get("qwen2_5_vl"), processor("qwen2_5_vl"), example(Task.DETECT, BOX), rejected=True)
