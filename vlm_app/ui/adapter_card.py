"""The card of an adapter as HTML: what it was made for, from what, how, and whether it helped."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from vlm_app.catalog import catalog
from vlm_app.finetune.adapters import Card, Score
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.scoring import FIGURES
from vlm_app.types import Task
from vlm_app.ui.render import TASKS

SHORT = 12  # characters of a hash
UNMEASURED = "Nobody has measured whether it helps."


def card_html(card: Card) -> str:
    """The card; whatever a person or a file wrote is escaped."""
    facts = {
        "Base": _base(card), "Taught": _taught(card), "How": _how(card.settings) if card.settings else "",
        "Made": card.created.date().isoformat() if card.created else "",
    }  # fmt: skip
    listed = "".join(f"<dt>{name}</dt><dd>{escape(fact)}</dd>" for name, fact in facts.items() if fact)
    return (
        f'<div class="adapter-card"><p>{escape(card.verdict or UNMEASURED)}</p>{_table(card)}'
        f"<dl>{listed}</dl></div>"
    )


def unknown(sentence: str) -> str:
    """In the place of a card that cannot be read."""
    return f'<div class="adapter-card"><p>{escape(sentence)}</p></div>'


def _base(card: Card) -> str:
    row = catalog().get(card.base)
    revision = f"revision {card.revision[:SHORT]}" if card.revision else ""
    return " · ".join(filter(None, (row.name if row else card.base, revision, card.precision)))


def _taught(card: Card) -> str:
    data = card.data
    if not data.train:
        return ""
    counts = f"{data.train:,} examples" + (f", {data.held_out:,} held out" if data.held_out else "")
    return " · ".join(filter(None, (data.name, counts, f"data {data.sha256[:SHORT]}" if data.sha256 else "")))


def _how(settings: RunConfig) -> str:
    kind = "DoRA" if settings.dora else "rsLoRA" if settings.rslora else "LoRA"
    long = f"{settings.steps:,} steps" if settings.steps else f"{settings.epochs:g} epochs"
    towers = ", ".join(each for each in ("vision", "connector", "language") if each in settings.towers)
    how = f"{kind} of {towers}, rank {settings.rank}"
    return f"{settings.stage} · {how} · {long} · rate {settings.rate:g}"


def _table(card: Card) -> str:
    rows = "".join(_rows(card.scores))
    head = "<tr><th>Task</th><th>Figure</th><th>Before</th><th>After</th></tr>"
    return f"<table>{head}{rows}</table>" if rows else ""


def _rows(scores: tuple[Score, ...]) -> Iterator[str]:
    """One row for each task: its first figure is the one that the verdict rests on."""
    seen: set[str] = set()
    for score in scores:
        if score.task in seen:
            continue
        seen.add(score.task)
        figure = FIGURES.get(score.figure)
        title = figure.title if figure else score.figure
        yield (
            f'<tr title="{escape(score.words, quote=True)}"><td>{escape(_task(score.task))}</td>'
            f"<td>{escape(title)}</td><td>{_points(score.before)}</td><td>{_points(score.after)}</td></tr>"
        )


def _points(share: float) -> str:
    return f"{100 * share:.0f} %"


def _task(name: str) -> str:
    return TASKS.get(Task(name), name) if name in {task.value for task in Task} else name
