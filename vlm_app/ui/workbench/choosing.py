"""Who is asked on the workbench, and for what: the pickers' choices and the tasks as buttons."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from vlm_app.engine import Engine
from vlm_app.engine.readers import reader
from vlm_app.errors import AppError
from vlm_app.types import Checkpoint, Task
from vlm_app.ui import server_words
from vlm_app.ui.render import TASKS
from vlm_app.ui.state_words import size, status

AUTOMATIC, NOBODY = "", "-"  # values of the pickers that name no model
DETAILED = "caption_detailed"  # a choice of the page; the model is asked in words
IN_DETAIL = "Describe this image in detail."
READING = (Task.OCR, Task.OCR_REGIONS)
ORDER = (
    Task.CAPTION, Task.DETECT, Task.GROUND, Task.POINT, Task.COUNT, Task.SEGMENT, Task.OCR,
    Task.OCR_REGIONS, Task.DESCRIBE_REGION, Task.CHAT,
)  # fmt: skip
NAMES: Mapping[Task, str] = {**TASKS, Task.CHAT: "Ask a question", Task.GROUND: "Find a phrase"}
HINTS: Mapping[Task, str] = {
    Task.CHAT: "What do you want to know?",
    Task.DETECT: "What to detect: red circle, blue square. Empty: everything",
    Task.GROUND: "What to find: the star left of the circle",
    Task.POINT: "What to point to: green triangle",
    Task.COUNT: "What to count: circles",
    Task.SEGMENT: "What to outline: the cat",
}
DRAW = "Draw the part on the picture; it is described as soon as it is drawn."


def runnable(rows: Mapping[str, Checkpoint]) -> list[Checkpoint]:
    """The models that can be asked here: loaded by this app, by its packages, or by a server."""
    return [row for row in rows.values() if row.server or row.runs.here]


def first(rows: Mapping[str, Checkpoint]) -> list[tuple[str, str]]:
    """Choices of the first picker."""
    return [("Automatic", AUTOMATIC), *((row.name, row.id) for row in runnable(rows))]


def second(rows: Mapping[str, Checkpoint], task: Task) -> list[tuple[str, str]]:
    """Choices of the second one: those that can do the same."""
    able = [row for row in runnable(rows) if task in able_to(row)]
    return [("Compare with …", NOBODY), *((row.name, row.id) for row in able)]


def able_to(row: Checkpoint) -> frozenset[Task]:
    """What can be asked. Whoever captions can describe a part: it gets the part alone."""
    return row.tasks | {Task.DESCRIBE_REGION} if Task.CAPTION in row.tasks else row.tasks


def tasks(rows: Mapping[str, Checkpoint], model: str, default: str) -> list[tuple[str, str]]:
    """The tasks as buttons: those of the chosen model, or of whoever is chosen by itself."""
    able = _able(rows, model, default)
    row = rows[model or default]
    made = [(NAMES[task], task.value) for task in ORDER if task in able]
    if {Task.CAPTION, Task.CHAT} <= row.tasks and row.chat:
        made.insert(1, ("Caption in detail", DETAILED))
    return made


def _able(rows: Mapping[str, Checkpoint], model: str, default: str) -> frozenset[Task]:
    if model:
        return able_to(rows[model])
    read = {task for row in runnable(rows) for task in row.tasks if task in READING}
    return able_to(rows[default]) | read


def answering(engine: Engine, rows: Mapping[str, Checkpoint], model: str, default: str, task: Task) -> str:
    """The id of the model that answers: the chosen one, a reader for reading, else the usual one.

    A reader is a reading model that is loaded, and without one the OCR engine of a package.
    """
    if model:
        return model
    if task not in READING:
        return default
    ready = {state.model for state in engine.models() if state.status == "ready"}
    return reader(task, rows, ready) or default


def task_of(choice: str) -> Task:
    """The task of a choice of the page."""
    return Task.CHAT if choice == DETAILED else Task(choice or Task.CAPTION)


def hint(choice: str) -> str | None:
    """What an empty query field says; None where the task has no query."""
    return None if choice == DETAILED else HINTS.get(task_of(choice))


def chip(engine: Engine, row: Checkpoint) -> str:
    """The state of the model that would answer, in a few words."""
    if row.server:
        now = server_words.of(row)
        return _chip(now.kind, row.name, now.words)
    try:
        state = engine.state(row.id)
    except AppError:  # a model that left the catalog has no state to show
        return ""
    memory = size(state.bytes) if state.bytes else ""
    return _chip(state.status, row.name, " · ".join(filter(None, (status(state), state.precision, memory))))


def _chip(kind: str, name: str, words: str) -> str:
    return (
        f'<p class="chip {kind}"><i></i><span role="status"><strong>{escape(name)}</strong> '
        f"{escape(words)}</span></p>"
    )
