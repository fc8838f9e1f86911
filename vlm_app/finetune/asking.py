"""How a family is asked what an example asks: as chat asks it, so that what is learned is met again."""

from __future__ import annotations

from dataclasses import dataclass

from vlm_app.engine.checks import asked_turns
from vlm_app.engine.cropping import Cropped
from vlm_app.errors import BadInput
from vlm_app.families import Family
from vlm_app.families.plain import task_in_words
from vlm_app.finetune.examples import Example
from vlm_app.types import Part, Picture, Request, Role, Task, Turn

# Where a family lacks a task, the one that asks for the same.
_NEAREST = {Task.DETECT: Task.GROUND, Task.GROUND: Task.DETECT, Task.OCR_REGIONS: Task.OCR}
_TOLD = frozenset({Task.CAPTION, Task.COUNT, Task.OCR})  # tasks that can be asked and answered in words


@dataclass(frozen=True, slots=True)
class Question:
    """An example's question in a family's own words.

    `task` and `query` are what the family is asked, which is not always the example's; `note` says
    so. `part` tells that it is shown a part of the picture only.
    """

    turns: tuple[Turn, ...]
    task: Task
    query: str
    note: str = ""
    part: bool = False

    @property
    def pictures(self) -> tuple[Picture, ...]:
        return tuple(picture for turn in self.turns for picture in turn.pictures)


def question(example: Example, family: Family) -> Question:
    """The question of an example.

    Raises `BadInput` or `ModelUnavailable` with a sentence where the family cannot be asked it.
    """
    most = family.max_images
    if most is not None and len(example.pictures) > most:
        raise BadInput(
            f"{_name(family)} takes at most {most} image{'s' * (most != 1)}, and this example has "
            f"{len(example.pictures)}: leave it out, or choose a model that takes more."
        )
    task, query = example.task, " ".join(example.query.split())
    if task is Task.CHAT:
        query = example.query
    elif task not in family.tasks:
        return _otherwise(example, family, query)
    return _asked(example.pictures, family, task, query)


def _otherwise(example: Example, family: Family, query: str) -> Question:
    """The question to a family that lacks the task."""
    task, pictures = example.task, example.pictures
    if task is Task.DESCRIBE_REGION and Task.CAPTION in family.tasks:
        asked = Cropped.of(_request(pictures, family, task, query), family.closeups).request
        note = "It is shown the part alone, and asked to describe that."
        return Question(asked_turns(asked, family), asked.task, asked.query, note, part=True)
    other = _NEAREST.get(task)
    if other is not None and other in family.tasks:
        return _asked(pictures, family, other, query, f"It is asked '{other}', as it has no '{task}'.")
    if task in (*_TOLD, Task.OCR_REGIONS) and Task.CHAT in family.tasks:
        note = f"It is asked in words, as it has no '{task}'."
        return _asked(pictures, family, Task.CHAT, task_in_words(task, query), note)
    family.ask(task, query)  # says what it can do instead
    raise AssertionError("a family is asked what it cannot do")


def _asked(pictures: tuple[Picture, ...], family: Family, task: Task, query: str, note: str = "") -> Question:
    return Question(asked_turns(_request(pictures, family, task, query), family), task, query, note)


def _request(pictures: tuple[Picture, ...], family: Family, task: Task, query: str) -> Request:
    parts: tuple[Part, ...] = (*pictures, query) if task is Task.CHAT else pictures
    return Request((Turn(Role.USER, parts),), family.name, task, query)


def _name(family: Family) -> str:
    return family.title or family.name
