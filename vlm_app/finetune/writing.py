"""An example as one family of models reads and writes it: its words, its markup, its coordinates.

One dataset trains any family, because an example holds fractions of the picture and becomes text
only here. Whatever is written is read again by the family's own parser before it is used: what it
would not read back is never taught.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vlm_app.errors import AppError, BadInput
from vlm_app.families import Family, Size
from vlm_app.families.templated import TemplatedFamily
from vlm_app.finetune.asking import question
from vlm_app.finetune.examples import Example
from vlm_app.finetune.replies import Replies
from vlm_app.types import Task, Turn


@dataclass(frozen=True, slots=True)
class Written:
    """An example in a family's own words.

    `answer` is the right answer as the model should generate it, without its end token; None where
    only a wrong one is known, which is `rejected`. `task` and `query` are what the family is asked.
    `note` says what of the example it does not learn, or is empty.
    """

    turns: tuple[Turn, ...]
    answer: str | None
    rejected: str | None
    task: Task
    query: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Left:
    """An example that a family cannot learn, and why, in a sentence."""

    example: Example
    sentence: str


def written(example: Example, family: Family, *, input_size: Size | None = None) -> Written:
    """The example as the family is asked and answers.

    `input_size` is (width, height) of what the model sees of the last picture, which families need
    that write pixels of it (`seen_size`). Raises `BadInput` or `ModelUnavailable` with a sentence
    where the family cannot learn the example.
    """
    asked = question(example, family)
    replies = Replies(family, asked, input_size)
    notes = [asked.note]
    answer = rejected = None
    if example.chosen is not None:
        answer, note = replies.raw(example.chosen)
        notes.append(note)
    if example.rejected is not None:
        try:
            rejected, _ = replies.raw(example.rejected)
        except AppError as error:
            if answer is None:
                raise
            notes.append(f"Its wrong answer is left out: {error.sentence}")
    if rejected is not None and rejected == answer:
        rejected = None
        notes.append("Its right and its wrong answer are written alike: there is nothing to prefer.")
    note = " ".join(filter(None, notes))
    return Written(asked.turns, answer, rejected, asked.task, asked.query, note)


def learnable(
    examples: Iterable[Example], family: Family
) -> tuple[tuple[tuple[Example, Written], ...], tuple[Left, ...]]:
    """The examples that a family can learn, and those that it cannot, each with the reason."""
    taken, left = [], []
    for example in examples:
        try:
            taken.append((example, written(example, family)))
        except AppError as error:
            left.append(Left(example, error.sentence))
    return tuple(taken), tuple(left)


def seen_size(example: Example, family: Family, processor: Any, pixels: int | None = None) -> Size | None:
    """What the model sees of the last picture, where the family writes pixels of that; else None."""
    if family.grid or not family.convention:
        return None
    asked = question(example, family)
    if isinstance(family, TemplatedFamily):  # says so without reading the pixels
        return family.seen(processor, asked.pictures, family.image_options(processor, pixels)).size
    return family.encode(processor, asked.turns, task=asked.task, pixels=pixels)[1].size


def written_for(example: Example, family: Family, processor: Any, pixels: int | None = None) -> Written:
    """`written`, with the sizes of the family's own processor at a budget of pixels."""
    return written(example, family, input_size=seen_size(example, family, processor, pixels))


def inputs(
    family: Family, processor: Any, example: Example, pixels: int | None = None, *, rejected: bool = False
) -> dict[str, Any]:
    """The model's inputs for an example, a batch of one, encoded as chat encodes its question.

    `labels` hold the answer (the wrong one with `rejected`) and its end token, and -100 elsewhere;
    nothing is cut. Raises as `written` does, and `BadInput` where there is no such answer.
    """
    made = written_for(example, family, processor, pixels)
    answer = made.rejected if rejected else made.answer
    if answer is None:
        kind = "wrong" if rejected else "right"
        raise BadInput(f"This example has no {kind} answer: add one, or leave the example out.")
    return family.encode(processor, made.turns, task=made.task, pixels=pixels, answer=answer)[0]
