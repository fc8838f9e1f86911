"""Datasets as HTML: pure functions. Everything that a person, a file or a model wrote is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape

from vlm_app.finetune.examples import Dataset
from vlm_app.finetune.fitting import too_few
from vlm_app.finetune.overview import Overview
from vlm_app.types import Task
from vlm_app.ui.finetune.datasets.words import many, task_name, when
from vlm_app.ui.pieces import attribute

MOST_LABELS = 8  # that are shown before one asks for more
MOST_FOLDED = 200  # that are shown at all
_HOW = " They were chosen by picture, evenly over tasks and labels; a run may choose another share."


@dataclass(frozen=True, slots=True)
class Filter:
    """Which examples of a dataset are shown; empty for all."""

    task: Task | None = None
    label: str = ""
    held_out: bool | None = None

    @property
    def chosen(self) -> bool:
        return self.task is not None or bool(self.label) or self.held_out is not None


def listed(datasets: Sequence[Dataset], current: str, now: datetime) -> str:
    """The list of datasets, one of them open."""
    lines = "".join(_line(each, each.id == current, now) for each in datasets)
    return f'<nav class="tune-list" aria-label="Datasets"><ol>{lines}</ol></nav>' if lines else ""


def _line(dataset: Dataset, here: bool, now: datetime) -> str:
    tasks = ", ".join(f"{task_name(task)} {count:,}" for task, count in dataset.counts.items())
    several = f"<small>{escape(tasks)}</small>" if len(dataset.counts) > 1 else ""
    current = ' aria-current="true"' if here else ""
    return (
        f'<li><button type="button" data-tune="open" data-dataset="{attribute(dataset.id)}"{current}>'
        f"<strong>{escape(dataset.name)}</strong>"
        f"<small>{many(dataset.size)} · {when(dataset.updated, now)}</small>{several}</button></li>"
    )


def head(dataset: Dataset, overview: Overview | None, chosen: Filter) -> str:
    """The dataset that is open: its name, what can be done, and what is in it."""
    return (
        f'<section class="tune-head" data-dataset="{attribute(dataset.id)}">{_title(dataset)}'
        f"{_inside(dataset, overview, chosen)}</section>"
    )


def _title(dataset: Dataset) -> str:
    name, whole = escape(dataset.name), many(dataset.size)
    return (
        f'<div class="title"><h2>{name}</h2>'
        '<button type="button" class="act" data-tune="rename" title="Rename" aria-label="Rename the dataset">'
        '<i class="ico edit"></i></button>'
        '<button type="button" class="act" data-tune="ask-delete" title="Delete" '
        'aria-label="Delete the dataset"><i class="ico delete"></i></button>'
        '<span class="ways"><button type="button" class="plain" data-tune="pick-more">Add files…</button>'
        f'<button type="button" class="plain strong" data-tune="teach" data-name="{attribute(dataset.name)}"'
        f"{'' if dataset.size else ' disabled'}>Teach a model</button></span></div>"
        '<form class="tune-form" data-tune-form="rename" hidden>'
        f'<input type="text" name="name" maxlength="80" required value="{attribute(dataset.name)}" '
        'aria-label="New name"><button type="submit" class="plain strong">Rename</button>'
        '<button type="button" class="plain" data-tune="drop-name">Cancel</button></form>'
        f'<p class="tune-sure" hidden>Delete “{name}” with its {whole}? Runs keep copies of their own.'
        '<button type="button" class="plain danger" data-tune="delete">Delete</button>'
        '<button type="button" class="plain" data-tune="keep">Keep</button></p>'
    )


# --- what is in it --------------------------------------------------------------------------


def _inside(dataset: Dataset, overview: Overview | None, chosen: Filter) -> str:
    if not dataset.size:
        return (
            '<p class="tune-nothing">Nothing is in it yet: drop a file here, or add answers that you '
            "corrected in a chat or on the workbench.</p>"
        )
    if overview is None:
        return (
            f'<p class="status" role="status">{many(dataset.size)}. All pictures are being looked '
            "at, to keep those that look alike on one side…</p>"
        )
    return f'<div class="tune-counts">{_tasks(overview, chosen)}{_sides(overview, chosen)}</div>'


def _tasks(overview: Overview, chosen: Filter) -> str:
    """Bars by task, and under each task by label."""
    most = max(overview.counts.tasks.values())
    html = ""
    for task, count in overview.counts.tasks.items():
        html += _bar(task, "", task_name(task), count, count / most, chosen)
        labels = [(name, its) for (each, name), its in overview.counts.labels.items() if each is task]
        html += _labels(task, labels, chosen)
    return f'<div class="bars"><h3>What is asked</h3>{html}</div>'


def _labels(task: Task, labels: Sequence[tuple[str, int]], chosen: Filter) -> str:
    if not labels:
        return ""
    most = labels[0][1]
    bars = [_bar(task, name, name, count, count / most, chosen) for name, count in labels[:MOST_FOLDED]]
    first, more = bars[:MOST_LABELS], bars[MOST_LABELS:]
    opened = " open" if any('aria-pressed="true"' in each for each in more) else ""
    folded = (
        f"<details{opened}><summary>{many(len(labels) - MOST_LABELS, 'more label')}</summary>"
        f"{''.join(more)}</details>"
        if more
        else ""
    )
    return f'<div class="labels">{"".join(first)}{folded}</div>'


def _bar(task: Task, label: str, name: str, count: int, share: float, chosen: Filter) -> str:
    pressed = (chosen.task, chosen.label) == (task, label)
    return (
        f'<button type="button" class="bar" data-tune="filter" data-task="{task}" '
        f'data-label="{attribute(label)}" aria-pressed="{str(pressed).lower()}">'
        f'<span>{escape(name)}</span><i style="--share:{share:.3f}"></i><b>{count:,}</b></button>'
    )


def _few(taught: int, held: int) -> str:
    said = too_few(taught, held)
    return f'<p class="warned" role="note">{escape(said)}</p>' if said else ""


def _sides(overview: Overview, chosen: Filter) -> str:
    """What is taught and what is held out."""
    held, size = len(overview.held_out), len(overview.ids)
    buttons = "".join(
        f'<button type="button" class="side-of" data-tune="side" data-side="{side}" '
        f'aria-pressed="{str(chosen.held_out is value).lower()}"><i></i>{name} <b>{count:,}</b></button>'
        for side, value, name, count in (
            ("taught", False, "Taught", size - held),
            ("held", True, "Held out", held),
        )
    )
    return (
        '<div class="split"><h3>What is kept back to see whether it helped</h3>'
        f'<div class="split-bar" style="--held:{held / size:.4f}"><i></i><i></i></div>'
        f'<div class="split-sides">{buttons}</div>'
        f"<p>{escape(overview.sentence)}{_HOW if held else ''}</p>{_few(size - held, held)}</div>"
    )
