"""Who answers: the picker's choices, the chip with the model's state, what the model knows."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from vlm_app.types import Checkpoint, Task
from vlm_app.ui.render import TASKS

if TYPE_CHECKING:
    from vlm_app.engine import ModelState

HINTS: Mapping[Task, str] = {
    Task.CHAT: "Ask about your image…",
    Task.CAPTION: "Add an image to have it described",
    Task.DETECT: "What to detect: red circle, blue square. Empty: everything",
    Task.GROUND: "What to find: the star left of the circle",
    Task.POINT: "What to point to: green triangle",
    Task.COUNT: "What to count: circles",
    Task.OCR: "Add an image to read its text",
    Task.OCR_REGIONS: "Add an image to read its text, with places",
}
WORDS = {"unloaded": "not loaded", "loading": "loading", "ready": "ready", "failed": "failed"}


def models(checkpoints: Mapping[str, Checkpoint]) -> list[tuple[str, str]]:
    """The picker's choices: name, id."""
    return [(each.name, each.id) for each in checkpoints.values()]


def tasks(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Only the tasks that this model can do, in the page's order."""
    return [(label, task.value) for task, label in TASKS.items() if task in checkpoint.tasks]


def chip(state: ModelState) -> str:
    """State, precision and memory of the chosen model, in one line."""
    precision = f'<span class="precision"> · {escape(state.precision)}</span>' if state.precision else ""
    memory = f" · {size(state.bytes)}" if state.bytes else ""
    return (
        f'<span class="chip {state.status}" role="status" title="{escape(state.detail, quote=True)}">'
        f"<i></i><span>{WORDS[state.status]}{precision}{memory}</span></span>"
    )


def size(count: int) -> str:
    """Bytes in words: 31 MB, 1.2 GB."""
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def knows(checkpoint: Checkpoint) -> str:
    """The line under the message box."""
    return f"{escape(checkpoint.name)}: {escape(checkpoint.knows)}" if checkpoint.knows else ""
