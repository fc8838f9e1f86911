"""A run on a tiny checkpoint of a real family, in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from benchmarks.finetune import Folder
from tests.families import checkpoints
from vlm_app.finetune.events import Evaluated, Event, Sampled, Saved, Stepped
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.training import train
from vlm_app.media import picture_from
from vlm_app.types import Picture, Task

# What the libraries warn of among themselves, and of what is no fault of ours.
QUIET = [
    "ignore:.is_gradient_checkpointing. is deprecated:FutureWarning",
    "ignore:.*gradient_checkpointing.* is deprecated:FutureWarning",
    "ignore:.*pin_memory.*:UserWarning",
]
COLOURS = ("red", "blue", "green", "white", "yellow", "purple", "orange", "gray")


def drawn(number: int, size: tuple[int, int] = (64, 64)) -> Picture:
    """A dark circle somewhere on a coloured ground."""
    image = Image.new("RGB", size, COLOURS[number % len(COLOURS)])
    left, top = 4 + 5 * (number % 5), 4 + 3 * (number % 7)
    ImageDraw.Draw(image).ellipse([left, top, left + 28, top + 28], fill="black")
    return picture_from(image)


def example(number: int, *, rejected: bool = False) -> Example:
    colour = COLOURS[number % len(COLOURS)]
    wrong = Reply(f"A square on {COLOURS[(number + 3) % len(COLOURS)]}.") if rejected else None
    asked = "What is in the image?" if number % 2 else "Say what you see, in a few words."
    return Example((drawn(number),), Task.CHAT, asked, f"A circle on {colour}.", rejected=wrong)


@dataclass
class Run(Folder):
    """A run's folder that also holds examples out, and keeps what training said."""

    held_out: Sequence[Example] = ()
    said: list[Event] = field(default_factory=list)

    def examples(self, kind: str) -> Sequence[Example]:
        return self.train if kind == "train" else self.held_out

    def go(self, stopped: Callable[[], bool] = lambda: False) -> Run:
        train(self, self.said.append, stopped)
        return self

    @property
    def losses(self) -> dict[int, float]:
        """The loss of each step; of one that was taken twice, the later."""
        return {event.step: event.loss for event in self.said if isinstance(event, Stepped)}

    @property
    def held_out_losses(self) -> list[float | None]:
        return [event.loss for event in self.said if isinstance(event, Evaluated)]

    @property
    def saved(self) -> list[int]:
        return [event.step for event in self.said if isinstance(event, Saved)]

    @property
    def samples(self) -> list[Sampled]:
        return [event for event in self.said if isinstance(event, Sampled)]


def tiny_base(monkeypatch: pytest.MonkeyPatch, name: str = "smolvlm") -> None:
    """Whatever a run's base is called, it is the tiny checkpoint of that name."""
    from vlm_app.finetune.training import course

    monkeypatch.setattr(course.catalog, "find", lambda id: checkpoints.row(name))


def run(path: Path, rejected: bool = False, examples: int = 6, **config: Any) -> Run:
    """A run of a few quick steps in fp32."""
    usual: dict[str, Any] = {
        "base": "tiny",
        "precision": "fp32",
        "steps": 6,
        "batch": 2,
        "rate": 1e-2,
        "warmup": 0.0,
        "evaluate_every": 3,
        "save_every": 3,
        "towers": ["language"],
    }
    return Run(
        path,
        RunConfig.read(usual | config),
        [example(number, rejected=rejected) for number in range(examples)],
        [example(100 + number, rejected=rejected) for number in range(2)],
    )
