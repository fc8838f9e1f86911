"""What is asked about a picture whose things are all marked.

A model that is always asked for the same learns to say it whatever the question. So each picture is
asked about more than once:

- one category in the file: for that category, once;
- up to `MOST_ASKED` categories: for all of them, and for one of them in turn, also where none is there;
- more: for each category that is there, and for one that is not, in turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from vlm_app.finetune.uploads.rows import Draft, Mark
from vlm_app.types import Task

MOST_ASKED = 20  # categories in one question


def questions(draft: Draft, categories: Sequence[str], number: int) -> Iterator[Draft]:
    """The drafts of the picture `number` of a file with these categories, in a fixed order."""
    if draft.task is not Task.DETECT or draft.query or draft.own is not None or not categories:
        yield draft
        return
    turn = categories[number % len(categories)]
    if len(categories) <= MOST_ASKED:
        yield _about(draft, categories)
        if len(categories) > 1:
            yield _about(draft, [turn])
        return
    there = list(dict.fromkeys(mark.label for mark in draft.marks))
    yield from (_about(draft, [category]) for category in there)
    if turn not in there:
        yield _about(draft, [turn])


def _about(draft: Draft, asked: Sequence[str]) -> Draft:
    def place(mark: Mark) -> int:
        return asked.index(mark.label)

    marks = sorted((mark for mark in draft.marks if mark.label in asked), key=place)
    return replace(draft, query=", ".join(asked), marks=tuple(marks))
