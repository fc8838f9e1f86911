"""Did it help? The verdict of a run as HTML: figures before and after, and examples that moved."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from vlm_app.finetune.examples import Reply
from vlm_app.finetune.helped import Change, Moved, Outcome, TaskVerdict
from vlm_app.finetune.judging import Judged, Side
from vlm_app.finetune.scoring import FIGURES
from vlm_app.ui.finetune.runs.telling import asked, picture_data, reply_data
from vlm_app.ui.pieces import attribute
from vlm_app.ui.render import TASKS

MOST_MOVED = 6  # examples that got better, and as many that got worse
MARKS: Mapping[Outcome, str] = {Outcome.BETTER: "▲", Outcome.WORSE: "▼", Outcome.SAME: "="}


def helped(run: str, judged: Judged) -> str:
    """The verdict in large words, each task's figures, and what moved."""
    sentence = judged.sentence
    said = sentence[:1].upper() + sentence[1:]
    outcome = judged.verdict.outcome
    tasks = "".join(_task(each) for each in judged.verdict.tasks.values())
    return (
        '<section class="run-help"><h2>Did it help?</h2>'
        f'<p class="verdict {outcome}">{escape(said)}</p>{tasks}{_all_moved(run, judged)}</section>'
    )


# --- figures ------------------------------------------------------------------------------------


def _task(task: TaskVerdict) -> str:
    changes = sorted(task.changes.values(), key=lambda change: change is not task.headline)
    count = f"{task.examples:,} example{'s' * (task.examples != 1)} on {task.images:,} image" + "s" * (
        task.images != 1
    )
    unread = task.unreadable
    note = f" · could not be read: {unread[0]} before, {unread[1]} after" if any(unread) else ""
    rows = "".join(_row(change, change is task.headline) for change in changes)
    return (
        f'<div class="run-task"><h3>{escape(TASKS[task.task])} <small>{count}{note}</small></h3>'
        f'<div class="figures">{rows}</div></div>'
    )


def _row(change: Change, first: bool) -> str:
    """A figure: where it was and is, and the interval of what it gained."""
    figure = FIGURES[change.figure]
    words = f"{MARKS[change.outcome]} {change.words}"
    lower = " <small>less is better</small>" if figure.lower else ""
    return (
        f'<div class="figure-row {change.outcome}{" first" if first else ""}" '
        f'title="{attribute(figure.rule)}">'
        f'<span class="title">{escape(figure.title)}{lower}</span>{_bars(change)}'
        f'<span class="numbers">{_value(change, change.before)} → '
        f"<strong>{_value(change, change.after)}</strong></span>{_interval(change)}"
        f'<span class="words">{escape(words)}<small>{escape(change.detail)}</small></span></div>'
    )


def _value(change: Change, value: float) -> str:
    return f"{100 * value:.1f}" if FIGURES[change.figure].share else f"{value:.2f}"


def _bars(change: Change) -> str:
    """Two bars on one scale: of a share up to 1, else up to the larger of both."""
    largest = 1.0 if FIGURES[change.figure].share else max(change.before, change.after, 1e-9)
    widths = [100 * min(max(value / largest, 0.0), 1.0) for value in (change.before, change.after)]
    return (
        f'<span class="two-bars" role="img" aria-label="before and after">'
        f'<i class="before" style="width:{widths[0]:.1f}%"></i>'
        f'<i class="after" style="width:{widths[1]:.1f}%"></i></span>'
    )


def _interval(change: Change) -> str:
    """The gain and its 95 % interval around nothing gained, which is the middle."""
    gain = change.gain
    reach = max(abs(gain.low), abs(gain.high), abs(gain.value), 1e-9) * 1.1
    low, value, high = (50 + 50 * each / reach for each in (gain.low, gain.value, gain.high))
    return (
        '<span class="interval" title="what it gained, with its 95 % interval; the line is nothing gained">'
        f'<i class="range" style="left:{low:.1f}%;width:{max(high - low, 0.8):.1f}%"></i>'
        f'<i class="value" style="left:{value:.1f}%"></i></span>'
    )


# --- examples -------------------------------------------------------------------------------------


def _all_moved(run: str, judged: Judged) -> str:
    sides = {side.key: side for side in judged.sides}
    verdict = judged.verdict
    return _moved(run, "Got better", verdict.better, sides) + _moved(run, "Got worse", verdict.worse, sides)


def _moved(run: str, title: str, moved: Sequence[Moved], sides: Mapping[str, Side]) -> str:
    known = [each for each in moved if each.key in sides]
    if not known:
        return ""
    items = "".join(_example(run, each, sides[each.key]) for each in known[:MOST_MOVED])
    more = f", the {MOST_MOVED} that moved most" if len(known) > MOST_MOVED else ""
    return (
        f'<details class="run-moved"{" open" if title == "Got better" else ""}>'
        f"<summary>{title} <small>{len(known):,}{more}</small></summary>"
        f'<div class="moved-list">{items}</div></details>'
    )


def _example(run: str, moved: Moved, side: Side) -> str:
    numbers = [
        f"{100 * value:.0f}" for value in (moved.before, moved.after)
    ]  # each task's headline is a share
    right = side.example.chosen
    truth = f'<p class="right"><small>Right</small> {escape(_short(right.text))}</p>' if right else ""
    return (
        f'<article class="moved"><h4>{escape(asked(side.example))} '
        f'<small>{numbers[0]} → {numbers[1]}</small></h4><div class="pair">'
        f"{_answer(run, side, side.before, 'Before')}{_answer(run, side, side.after, 'After')}</div>"
        f"{truth}</article>"
    )


def _answer(run: str, side: Side, reply: Reply, title: str) -> str:
    picture = picture_data(run, side.example)
    told = reply_data(reply, len(side.example.pictures) - 1)
    data = {
        "answer": f"{side.key}-{title}",
        "picture": picture,
        "regions": told["regions"],
        "editable": False,
    }
    said = _short(reply.text) or "nothing"
    return (
        f"<figure><figcaption>{title}</figcaption>"
        f'<vlm-overlay data-json="{attribute(json.dumps(data))}"></vlm-overlay><p>{escape(said)}</p></figure>'
    )


def _short(text: str) -> str:
    return text if len(text) <= 300 else text[:299] + "…"
