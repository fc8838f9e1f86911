"""Who answers: the picker's choices, the chip with the model's state, what the model knows."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING

from vlm_app.types import Checkpoint, Task
from vlm_app.ui import server_words
from vlm_app.ui.machine import meter, way_out
from vlm_app.ui.render import TASKS
from vlm_app.ui.state_words import size, status
from vlm_app.ui.verdicts import short

if TYPE_CHECKING:
    from vlm_app.engine.memory import Fit
    from vlm_app.engine.states import ModelState
    from vlm_app.ui.server_words import Standing

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


def runnable(checkpoints: Mapping[str, Checkpoint]) -> list[Checkpoint]:
    """The models that can be asked: this app can load them, or a server that was added has them."""
    return [each for each in checkpoints.values() if each.server or each.runs.here]


def models(checkpoints: Mapping[str, Checkpoint]) -> list[tuple[str, str]]:
    """The picker's choices: name, id. Models that cannot be asked stand on the page of all models."""
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


def chip(state: ModelState, fit: Fit | None = None, adapter: str = "") -> str:
    """State, precision, adapter and memory of the chosen model in one line, which unfolds.

    `fit` is the verdict before it is loaded, `adapter` the name of the one that is chosen.
    """
    line = "".join(_line(state, fit, adapter))
    kind = "large" if state.status == "unloaded" and fit is not None and not fit.fits else state.status
    return (
        f'<button type="button" class="chip {kind}" popovertarget="chip-more">'
        f'<i></i><span role="status">{line}</span></button>'
        f'<div id="chip-more" popover data-model="{escape(state.model, quote=True)}" '
        f'data-precision="{escape(state.precision, quote=True)}">{_more(state, fit, adapter)}</div>'
    )


def server_chip(checkpoint: Checkpoint) -> str:
    """The same of a model on a server: the server's state and latency."""
    now = server_words.of(checkpoint)
    shown = now.latency and now.kind == "ready"
    latency = f'<span class="memory"> · {now.latency}</span>' if shown else ""
    return (
        f'<button type="button" class="chip {now.kind}" popovertarget="chip-more">'
        f'<i></i><span role="status">{escape(now.words)}{latency}</span></button>'
        f'<div id="chip-more" popover data-model="{escape(checkpoint.id, quote=True)}">'
        f"{_of_server(checkpoint, now)}</div>"
    )


def _of_server(checkpoint: Checkpoint, now: Standing) -> str:
    """What the chip of a model on a server unfolds to."""
    facts = {
        "Server": checkpoint.server,
        "State": now.words,
        "Latency": now.latency,
        "Last error": now.error,
        "Speaks like": checkpoint.family,
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items() if fact)
    return (
        f"<p>{escape(checkpoint.name)}</p><dl>{listed}</dl>"
        '<p class="ways"><button type="button" class="plain" data-act="to-models">All models</button></p>'
    )


def _line(state: ModelState, fit: Fit | None, adapter: str) -> list[str]:
    """The pieces of the line; a narrow page leaves some of them out."""
    verdict = _verdict(fit) if state.status == "unloaded" and fit is not None else ""
    memory = size(state.bytes) if state.bytes else ""
    more = {"verdict": verdict, "precision": state.precision, "adapter": adapter, "memory": memory}
    pieces = (f'<span class="{kind}"> · {escape(words)}</span>' for kind, words in more.items() if words)
    return [escape(status(state)), *pieces]


def _verdict(fit: Fit) -> str:
    precision = f" in {fit.precision}" if fit.fits else ""
    return short(fit).replace(",", f"{precision},", 1)


def _more(state: ModelState, fit: Fit | None, adapter: str) -> str:
    """What the chip unfolds to: the state in a sentence, and a way out of it."""
    facts = {
        "Precision": state.precision,
        "Memory": size(state.bytes) if state.bytes else "",
        "Device": state.device if state.bytes else "",
        "Adapter": adapter,
        "Fit": f"It {fit.words}." if state.status == "unloaded" and fit is not None else "",
    }
    listed = "".join(f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items() if fact)
    return (
        f"<p>{escape(state.detail)}</p>{meter(state)}<dl>{listed}</dl>"
        f'<p class="ways">{way_out(state)}'
        '<button type="button" class="plain" data-act="to-models">All models</button></p>'
    )


def knows(checkpoint: Checkpoint) -> str:
    """The line under the message box; it also says where images go that leave this computer."""
    said = " ".join(filter(None, (completes(checkpoint), escape(checkpoint.knows))))
    known = f"{escape(checkpoint.name)}: {said}" if said else ""
    goes = server_words.leaves(checkpoint)
    return " ".join(filter(None, (f'<span class="goes">{escape(goes)}</span>' if goes else "", known)))


def completes(checkpoint: Checkpoint) -> str:
    """What a model does that does not chat; empty for those that do."""
    if Task.CHAT not in checkpoint.tasks:
        return "It does its tasks only."
    return "" if checkpoint.chat else "A base model: it completes text."
