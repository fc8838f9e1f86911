"""Who answers: the picker's choices, the chip with the model's state, what the model knows."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from vlm_app.types import Checkpoint, Runs, Task
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
    Task.SEGMENT: "What to outline: the cat",
    Task.OCR: "Add an image to read its text",
    Task.OCR_REGIONS: "Add an image to read its text, with places",
    Task.DESCRIBE_REGION: "Left, top, right, bottom of the part, from 0 to 1: 0.1, 0.2, 0.5, 0.6",
}
WORDS = {"unloaded": "not loaded", "loading": "loading", "ready": "ready", "failed": "failed"}


def runnable(checkpoints: Mapping[str, Checkpoint]) -> list[Checkpoint]:
    """The models that this app can load, in the catalog's order."""
    return [each for each in checkpoints.values() if each.runs is Runs.IN_PROCESS]


def models(checkpoints: Mapping[str, Checkpoint]) -> list[tuple[str, str]]:
    """The picker's choices: name, id. Models that cannot run here stand on the page of all models."""
    return [(each.name, each.id) for each in runnable(checkpoints)]


def tasks(checkpoint: Checkpoint) -> list[tuple[str, str]]:
    """Only the tasks that this model can do, in the page's order."""
    return [(label, task.value) for task, label in TASKS.items() if task in checkpoint.tasks]


def task_of(checkpoint: Checkpoint, task: Task) -> Task:
    """The task, where the model can do it; else chat, or what it can do first."""
    first = next((each for each in TASKS if each in checkpoint.tasks), Task.CHAT)
    return task if task in checkpoint.tasks else first


def hint(checkpoint: Checkpoint, task: Task) -> str:
    """What an empty message box says."""
    if task is Task.CHAT and not checkpoint.chat:
        return "Begin a text for the model to go on with…"
    return HINTS[task]


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
    said = " ".join(filter(None, (completes(checkpoint), escape(checkpoint.knows))))
    return f"{escape(checkpoint.name)}: {said}" if said else ""


def completes(checkpoint: Checkpoint) -> str:
    """What a model does that does not chat; empty for those that do."""
    if Task.CHAT not in checkpoint.tasks:
        return "It does its tasks only."
    return "" if checkpoint.chat else "A base model: it completes text."
