"""The first screen: one sentence, three examples that run on a click, and who will answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from vlm_app.types import Checkpoint, Task
from vlm_app.ui.addresses import under_root
from vlm_app.ui.model_bar import completes


@dataclass(frozen=True, slots=True)
class Example:
    """A picture in `assets/examples` and what it is asked."""

    file: str
    title: str
    task: Task
    query: str  # for CHAT the question


EXAMPLES: Mapping[str, Example] = {
    each.file.removesuffix(".png"): each
    for each in (
        Example("shapes.png", "Detect everything", Task.DETECT, ""),
        Example("signs.png", "Find a word on a sign", Task.CHAT, 'Find the word "COLD".'),
        Example("chart.png", "Ask what is in a chart", Task.CHAT, "How many bars are there?"),
    )
}


def welcome(checkpoint: Checkpoint) -> str:
    """HTML of an empty chat, for the model that would answer."""
    cards = "".join(
        _card(name, example) for name, example in EXAMPLES.items() if example.task in checkpoint.tasks
    )
    knows = "".join(f" {line}" for line in (completes(checkpoint), escape(checkpoint.knows)) if line)
    return (
        '<section class="welcome"><h1>Ask about an image, and see what the answer refers to.</h1>'
        f'<div class="cards">{cards}</div>'
        f'<p class="who"><strong>{escape(checkpoint.name)}</strong> answers.{knows}</p></section>'
    )


def _card(name: str, example: Example) -> str:
    title = escape(example.title)
    return (
        f'<button type="button" class="card" data-act="example" data-name="{name}">'
        f'<img src="{under_root(f"/examples/{example.file}")}" alt="" width="640" height="480">'
        f"<span>{title}</span></button>"
    )
