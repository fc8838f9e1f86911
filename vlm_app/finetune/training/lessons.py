"""What a run teaches, row by row: examples in the family's own encoding, and rehearsed scenes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import AppError, BadInput
from vlm_app.finetune.examples import Example
from vlm_app.finetune.writing import Left, inputs, written
from vlm_app.types import Role, Task, Turn

Inputs = dict[str, Any]  # a batch of one, on the CPU, with `labels`
_REHEARSED = 3  # the stream of seeds of rehearsed scenes: the base was trained on 1 and is scored on 2
# No printed pages: it cannot read them yet, and their long answers would outweigh all others.
_KNOWN = {"shapes": 0.8, "signs": 0.1, "chart": 0.1}  # kinds of scenes that the base knows, by share


@dataclass(frozen=True, slots=True)
class Lesson:
    """One row: what the model gets and should answer, and a key that rows with the same pictures share.

    `good` is False for a wrong answer, of which KTO learns as well.
    """

    pictures: str
    encode: Callable[[], Inputs]
    good: bool = True


@dataclass(frozen=True, slots=True)
class Pair:
    """Two answers to one question: the right one and the wrong one."""

    right: Lesson
    wrong: Lesson


# --- examples ----------------------------------------------------------------------------------


def lesson(loaded: LoadedModel, example: Example, pixels: int | None, *, rejected: bool = False) -> Lesson:
    """An example as a row; with `rejected` its wrong answer."""
    return _lesson(loaded, (example,), 0, pixels, rejected=rejected)


def _lesson(
    loaded: LoadedModel, examples: Sequence[Example], place: int, pixels: int | None, *, rejected: bool
) -> Lesson:
    """One of several examples, which is taken from them anew each time: so no picture stays decoded."""

    def encode() -> Inputs:
        return inputs(loaded.family, loaded.processor, examples[place], pixels, rejected=rejected)

    hashes = "".join(picture.sha256 for picture in examples[place].pictures)
    return Lesson(hashlib.sha256(hashes.encode()).hexdigest(), encode, good=not rejected)


def lessons(
    loaded: LoadedModel, examples: Sequence[Example], pixels: int | None
) -> tuple[list[Lesson], list[Left]]:
    """The examples whose right answer the family can write, and those of which it cannot, with why."""
    made: list[Lesson] = []
    left: list[Left] = []
    for place, example in enumerate(examples):
        if (reason := _unfit(loaded, example, good=True)) is None:
            made.append(_lesson(loaded, examples, place, pixels, rejected=False))
        else:
            left.append(Left(example, reason))
    return made, left


def pairs(
    loaded: LoadedModel, examples: Sequence[Example], pixels: int | None
) -> tuple[list[Pair], list[Left]]:
    """The examples that hold a right and a wrong answer, as DPO takes them."""
    made: list[Pair] = []
    left: list[Left] = []
    for place, example in enumerate(examples):
        reason = _unfit(loaded, example, good=True) or _unfit(loaded, example, good=False)
        if reason is None:
            right, wrong = (_lesson(loaded, examples, place, pixels, rejected=bad) for bad in (False, True))
            made.append(Pair(right, wrong))
        else:
            left.append(Left(example, reason))
    return made, left


def unpaired(
    loaded: LoadedModel, examples: Sequence[Example], pixels: int | None
) -> tuple[list[Lesson], list[Left]]:
    """Every right and every wrong answer, each by itself, as KTO takes them."""
    made: list[Lesson] = []
    left: list[Left] = []
    for place, example in enumerate(examples):
        reasons = {good: _unfit(loaded, example, good=good) for good in (True, False)}
        for good, reason in reasons.items():
            if reason is None:
                made.append(_lesson(loaded, examples, place, pixels, rejected=not good))
        if reason := reasons[True] if None not in reasons.values() else None:
            left.append(Left(example, reason))
    return made, left


def _unfit(loaded: LoadedModel, example: Example, *, good: bool) -> str | None:
    """Why this answer of an example cannot be taught, or None. The pictures are not read for it."""
    # Families that write pixels need a size to write at all; which one does not matter here.
    try:
        made = written(example, loaded.family, input_size=example.pictures[-1].size)
    except AppError as error:
        return error.sentence
    if (made.answer if good else made.rejected) is None:
        return f"It has no {'right' if good else 'wrong'} answer."
    return None


# --- rehearsal ---------------------------------------------------------------------------------


def rehearsal(loaded: LoadedModel, number: int, seed: int) -> list[Lesson]:
    """That many scenes of the world that the base knows, each with one question of it.

    Pebble alone has a world to draw them from: of another base there are none.
    """
    if loaded.family.name != "pebble":
        return []
    return [_rehearsed(loaded, seed, scene) for scene in range(number)]


def _rehearsed(loaded: LoadedModel, seed: int, scene: int) -> Lesson:
    def encode() -> Inputs:
        turns, answer = rehearsed(seed, scene)
        return loaded.family.encode(loaded.processor, turns, task=Task.CHAT, answer=answer)[0]

    return Lesson(f"scene {seed} {scene}", encode)


def rehearsed(seed: int, scene: int) -> tuple[tuple[Turn, ...], str]:
    """The turns of a rehearsed scene and the answer, as Pebble writes it."""
    from vlm_app.media import picture_from
    from vlm_app.pebble.questions import about, dialogues
    from vlm_app.pebble.world import draw_scene

    rng = np.random.default_rng([_REHEARSED, seed, scene])
    drawn = draw_scene(rng, kind=str(rng.choice(list(_KNOWN), p=list(_KNOWN.values()))))
    dialogue = next(dialogues(rng, drawn, 1), None) or about(rng, drawn)
    *before, (question, answer) = dialogue.turns
    turns: list[Turn] = []
    for asked, answered in before:
        turns += [Turn(Role.USER, (asked,)), Turn(Role.ASSISTANT, (answered,))]
    turns.append(Turn(Role.USER, (question,)))
    turns[0] = Turn(Role.USER, (picture_from(drawn.image), *turns[0].parts))
    return tuple(turns), answer


# --- the order of rows -------------------------------------------------------------------------


def order(examples: int, rehearsed: int, total: int, seed: int) -> list[int]:
    """The rows of a whole run: `examples` first, rehearsed scenes counted behind them.

    Every round takes each example once, in a new order. A rehearsed scene comes once in the run, at
    most; they are spread evenly, and are fewer in a run too short to hold them beside the examples.
    Raises `BadInput` where there is nothing to teach.
    """
    import torch

    if not examples:
        raise BadInput("A run teaches at least one example, found none: add some, or choose another dataset.")
    rehearsed = min(rehearsed, max(total - examples, total // 2))
    taught: list[int] = []
    round = 0
    while len(taught) < total - rehearsed:  # as transformers shuffles its rounds
        dice = torch.Generator().manual_seed(seed + round)
        taught += torch.randperm(examples, generator=dice).tolist()
        round += 1
    del taught[total - rehearsed :]
    places = np.linspace(0, total - rehearsed, rehearsed, endpoint=False).astype(int)
    rows: list[int] = []
    start = 0
    for scene, place in enumerate(places.tolist()):
        rows += [*taught[start:place], examples + scene]
        start = place
    return rows + taught[start:]
