"""'Ask again with …': who could answer a message once more, and the menu that offers them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from vlm_app.catalog import memory
from vlm_app.chat import Taking, able
from vlm_app.engine.adapters import BASE
from vlm_app.types import Answer, Checkpoint, Runs, Task
from vlm_app.ui.state_words import parameters

MOST = 40  # entries: the page of all models holds the rest


@dataclass(frozen=True, slots=True)
class Choice:
    """A model, or one of its adapters ('__base__': none), that a question can be asked again."""

    name: str
    model: str
    adapter: str = ""
    ready: bool = False
    note: str = ""
    remote: bool = False  # a server has it


def models(
    rows: Iterable[Checkpoint], task: Task, images: int, *, ready: Collection[str], room: int
) -> list[Choice]:
    """The models that can answer a message with so many images, loaded ones first, then servers'.

    Those of a size that nobody states, which may not fit, come last.

    They run on a server, or in this app and fit into `room` bytes in their smallest precision
    (0: a room that is not known); and they do the task, or chat in words.
    """
    able_here = [row for row in rows if _here(row, room) and able(row, task) and _takes(row, images)]
    ordered = sorted(
        able_here,
        key=lambda row: (
            row.id not in ready,
            not row.server,
            not row.server and row.runs is not Runs.PACKAGE and not memory(row),
            task is Task.CHAT and not row.chat,
        ),
    )
    return [
        Choice(row.name, row.id, "", row.id in ready, _note(row, task), bool(row.server)) for row in ordered
    ]


def _here(row: Checkpoint, room: int) -> bool:
    return bool(row.server) or (row.runs.here and (not room or memory(row) <= room))


def _takes(row: Checkpoint, images: int) -> bool:
    most = Taking.of(lambda _: row, row.id).images
    return most is None or images <= most


def _note(row: Checkpoint, task: Task) -> str:
    told = [parameters(row.parameters)]
    if task not in row.tasks:
        told.append("in words")
    if row.gated:
        told.append("licence to accept")
    return ", ".join(filter(None, told))


def others(choices: Iterable[Choice], answer: Answer) -> list[Choice]:
    """The choices without the one that gave this answer."""
    own = (answer.model, answer.adapter or "")
    return [each for each in choices if (each.model, each.adapter) != own][:MOST]


def menu(choices: Sequence[Choice]) -> str:
    """The menu as HTML; '' where nobody else can answer."""
    groups = (
        ("Loaded", [each for each in choices if each.ready]),
        ("On a server", [each for each in choices if not each.ready and each.remote]),
        ("Loaded when asked", [each for each in choices if not each.ready and not each.remote]),
    )
    listed = "".join(f"<h4>{title}</h4>{''.join(map(_entry, group))}" for title, group in groups if group)
    if not listed:
        return ""
    return (
        '<button type="button" class="again" popovertarget="again-menu">Ask again with …</button>'
        f'<div id="again-menu" popover role="menu" aria-label="Ask again with">{listed}</div>'
    )


def its_base(answer: Answer) -> str:
    """The button that asks the base of the adapter that answered the same; '' where none did."""
    if not answer.adapter or answer.adapter == BASE:
        return ""
    return (
        '<button type="button" class="again" data-act="again" '
        f'data-model="{escape(answer.model, quote=True)}" '
        'title="The same question to the model without the adapter">Beside its base</button>'
    )


def _entry(choice: Choice) -> str:
    adapter = f' data-adapter="{escape(choice.adapter, quote=True)}"' if choice.adapter else ""
    note = f"<small>{escape(choice.note)}</small>" if choice.note else ""
    model = escape(choice.model, quote=True)
    return (
        f'<button type="button" role="menuitem" data-act="again" data-model="{model}"{adapter}>'
        f"<span>{escape(choice.name)}</span>{note}</button>"
    )
