"""The card of an adapter: what it was made for, from what, how, and whether it helped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vlm_app.errors import BadInput
from vlm_app.finetune.helped import Verdict
from vlm_app.finetune.run_config import RunConfig

CARD = "card.json"
MOST_BYTES = 1_000_000  # of a card: it may be anybody's
Short = Annotated[str, Field(max_length=300)]


class Score(BaseModel):
    """A figure on the held-out examples of a task, before and after.

    `gain` is positive where it got better, also where less is better; `low` and `high` are the ends
    of its 95 % interval. `words` say what may be said of it. Shares are fractions of 1.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    task: Short
    figure: Short
    examples: int
    images: int
    before: float
    after: float
    gain: float
    low: float
    high: float
    words: Annotated[str, Field(max_length=1000)]


class Taught(BaseModel):
    """What an adapter was taught: a dataset's name, a hash of its examples, and how many."""

    model_config = ConfigDict(frozen=True)

    name: Short = ""
    sha256: Short = ""
    train: int = 0
    held_out: int = 0


class Card(BaseModel):
    """What is known of an adapter. Of one that somebody brought that may be its name and base alone.

    `base` is a Hub repository, or the id of a model of this computer that is on no Hub; `revision`
    its commit, '' where it has none. `precision` is what the base was loaded in while it was taught
    and scored. Without `settings` it was not made here. `verdict` is one sentence, '' where nobody scored it.
    """

    model_config = ConfigDict(frozen=True)

    version: Literal[1] = 1
    name: Short
    owner: Short = ""
    base: Short
    revision: Short = ""
    precision: Short = ""
    data: Taught = Taught()
    settings: RunConfig | None = None
    scores: Annotated[tuple[Score, ...], Field(max_length=200)] = ()
    verdict: Annotated[str, Field(max_length=10_000)] = ""
    created: datetime | None = None

    @classmethod
    def read(cls, folder: Path) -> Card:
        """The card in an adapter's folder.

        Raises `BadInput` where it is missing, damaged or of another version.
        """
        try:
            if (folder / CARD).stat().st_size > MOST_BYTES:
                raise _unreadable("is longer than a megabyte")
            text = (folder / CARD).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable("cannot be read") from error
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise _unreadable(_why(text)) from error

    def write(self, folder: Path) -> None:
        """Put it into an adapter's folder."""
        (folder / CARD).write_text(self.model_dump_json(indent=1), encoding="utf-8")


def scores(verdict: Verdict) -> Iterator[Score]:
    """The figures of a verdict, those of a task together with its headline first."""
    for task, found in verdict.tasks.items():
        changes = sorted(found.changes.values(), key=lambda change: change is not found.headline)
        for change in changes:
            yield Score(
                task=task.value,
                figure=change.figure,
                examples=found.examples,
                images=found.images,
                before=change.before,
                after=change.after,
                gain=change.gain.value,
                low=change.gain.low,
                high=change.gain.high,
                words=change.words,
            )


def _why(text: str) -> str:
    with suppress(ValueError):
        found = json.loads(text)
        version = found.get("version") if isinstance(found, dict) else None
        if version not in (None, 1):
            return f"has version {str(version)[:20]}, and this app reads version 1"
    return "is damaged"


def _unreadable(what: str) -> BadInput:
    return BadInput(f"The card.json of this adapter {what}: delete the adapter, or put the file back.")
