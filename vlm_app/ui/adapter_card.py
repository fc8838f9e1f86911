"""The card of an adapter as HTML: what it was made for, from what, how, and whether it helped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
    listed = "".join(f"<dt>{fact.title}</dt><dd>{escape(fact.line)}</dd>" for fact in facts(card))
    return (
        f'<div class="adapter-card"><p>{escape(card.verdict or UNMEASURED)}</p>{_table(card)}'
        f"<dl>{listed}</dl></div>"
    )


def unknown(sentence: str) -> str:
    """In the place of a card that cannot be read."""
    return f'<div class="adapter-card"><p>{escape(sentence)}</p></div>'


@dataclass(frozen=True, slots=True)
class Fact:
    """Something known of an adapter, and beside it what tells it apart from others."""

    title: str
    value: str
    beside: str = ""

    @property
    def line(self) -> str:
        return " · ".join(filter(None, (self.value, self.beside)))


def facts(card: Card) -> tuple[Fact, ...]:
    """What it was made for, from what, how and when, as far as that is known; nothing is escaped yet."""
    made = Fact("Made", card.created.date().isoformat() if card.created else "")
    how = Fact("How", _how(card.settings) if card.settings else "")
    return tuple(fact for fact in (_base(card), _taught(card), how, made) if fact.line)


def _base(card: Card) -> Fact:
    row = catalog().get(card.base)
    revision = f"revision {card.revision[:SHORT]}" if card.revision else ""
    return Fact("Base", row.name if row else card.base, " · ".join(filter(None, (revision, card.precision))))


def _taught(card: Card) -> Fact:
    data = card.data
    counts = f"{data.train:,} examples" + (f", {data.held_out:,} held out" if data.held_out else "")
    hashed = f"data {data.sha256[:SHORT]}" if data.sha256 else ""
    return Fact("Taught", data.name, " · ".join(filter(None, (counts if data.train else "", hashed))))


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
        share = figure is None or figure.share
        yield (
            f'<tr title="{escape(score.words, quote=True)}"><td>{escape(_task(score.task))}</td>'
            f"<td>{escape(title)}</td><td>{_number(score.before, share)}</td>"
            f"<td>{_number(score.after, share)}</td></tr>"
        )


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.0f} %" if share else f"{value:.2f}"


def _task(name: str) -> str:
    return TASKS.get(Task(name), name) if name in {task.value for task in Task} else name
