"""What a run says while it goes, and how it stands: lines of `events.jsonl`, and `status.json`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class State(StrEnum):
    """How a run stands."""

    QUEUED = "queued"
    STARTING = "starting"  # the child loads the base and the data
    TRAINING = "training"
    SCORING = "scoring"  # the held-out examples are answered without the adapter and with it
    STOPPED = "stopped"  # by a person: it can be resumed
    BROKEN = "broken"  # its process ended without a word: it can be resumed
    FAILED = "failed"  # with a sentence
    DONE = "done"


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True)
    at: float = 0.0  # seconds since the epoch; set where it is written


class Stepped(_Event):
    """After a step: the mean loss since the last such event, and how fast it goes."""

    kind: Literal["stepped"] = "stepped"
    step: int
    steps: int = 0  # of the whole run; 0: not known
    epoch: float
    loss: float
    rate: float
    memory: int  # bytes: the most that was in use so far
    examples_per_second: float
    seconds_left: float | None = None


class Evaluated(_Event):
    """The held-out examples: their loss, and scores by 'task figure'."""

    kind: Literal["evaluated"] = "evaluated"
    step: int
    loss: float | None = None
    scores: dict[str, float] = {}
    best: bool = False


class Sampled(_Event):
    """An answer to a held-out example, by its place among them; regions as `region_to_dict` has them."""

    kind: Literal["sampled"] = "sampled"
    step: int
    example: int
    text: str
    regions: list[dict[str, Any]] = []


class Saved(_Event):
    """A checkpoint is on disk, whole."""

    kind: Literal["saved"] = "saved"
    step: int


class Answered(_Event):
    """While it is scored: so many of the held-out examples are answered, without and with the adapter."""

    kind: Literal["answered"] = "answered"
    done: int
    of: int
    seconds_left: float | None = None


class Said(_Event):
    """A sentence for the person who watches."""

    kind: Literal["said"] = "said"
    sentence: str


Event = Annotated[Stepped | Evaluated | Sampled | Saved | Answered | Said, Field(discriminator="kind")]


class Status(BaseModel):
    """How a run stands now."""

    model_config = ConfigDict(frozen=True)
    version: Literal[1] = 1
    state: State
    step: int = 0
    steps: int = 0  # in all; 0: not known yet
    answered: int = 0  # held-out examples, while it is scored
    to_answer: int = 0  # of them in all; 0: not known yet, or none
    pid: int | None = None  # of the child, while it lives
    started: float = 0.0  # when that process began, as the system says: a pid is used again
    queued: float = 0.0  # when it joined the line, in seconds since the epoch
    sentence: str = ""  # why it failed, or what it waits for
    updated: float = 0.0
