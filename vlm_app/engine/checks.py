"""What a request must be before a model is troubled with it, and the turns that it means."""

from __future__ import annotations

from vlm_app.engine import adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.frames import shown
from vlm_app.engine.loading import PRECISIONS
from vlm_app.errors import BadInput, ModelUnavailable
from vlm_app.families import Family
from vlm_app.types import Checkpoint, Request, Role, Task, Turn


def check(request: Request, checkpoint: Checkpoint, family: Family) -> Adapter | None:
    """Refuse what cannot be answered before anything is loaded; returns the adapter that is asked for."""
    if request.task not in checkpoint.tasks:
        able = ", ".join(sorted(checkpoint.tasks))
        raise ModelUnavailable(f"{checkpoint.name} cannot do '{request.task}': it can do {able}.")
    if request.precision not in PRECISIONS:
        known = ", ".join(PRECISIONS)
        raise BadInput(f"A precision is one of {known}, found '{request.precision}': choose one of these.")
    asked = [turn for turn in request.turns if turn.role is Role.USER]
    if not asked:
        raise BadInput("There is no question: write a message first.")
    if not request.pictures and (request.task is not Task.CHAT or not family.text_only):
        raise BadInput(
            f"{checkpoint.name} answers about an image, and there is none: add an image to your message."
        )
    _check_message(request, asked[-1], family)
    shown(request, checkpoint, family)  # says where there are too many images
    return _adapter(request.adapter, request.owner, checkpoint)


def _adapter(id: str | None, owner: str | None, checkpoint: Checkpoint) -> Adapter | None:
    if id is None or id == adapters.BASE:
        return None
    if checkpoint.server:
        raise BadInput(
            f"{checkpoint.name} runs on the server '{checkpoint.server}', where adapters of this computer "
            "cannot be attached: choose none, or a model that runs here."
        )
    adapter = adapters.find(id, owner)
    adapters.check(adapter, checkpoint)
    return adapter


def _check_message(request: Request, turn: Turn, family: Family) -> None:
    if request.task is not Task.CHAT:
        family.ask(request.task, request.query or turn.text)  # says what is missing
    elif not turn.text.strip():
        raise BadInput("The message is empty: write a question about the image.")


def asked_turns(request: Request, family: Family) -> tuple[Turn, ...]:
    """The turns, with the last question in the family's words for the task."""
    if request.task is Task.CHAT:
        return request.turns
    turns = list(request.turns)
    last = max(index for index, turn in enumerate(turns) if turn.role is Role.USER)
    words = family.ask(request.task, request.query or turns[last].text)
    visual = (part for part in turns[last].parts if not isinstance(part, str))
    turns[last] = Turn(Role.USER, (*visual, words))
    return tuple(turns)
