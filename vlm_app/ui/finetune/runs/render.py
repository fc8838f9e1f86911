"""A run as HTML: pure functions. Everything that a person or a model wrote is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape

from vlm_app.finetune.curves import Curve
from vlm_app.finetune.estimate import Needs
from vlm_app.finetune.events import State
from vlm_app.finetune.fitting import too_few
from vlm_app.finetune.processes import ACTIVE, RESUMABLE
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_file import run_file
from vlm_app.finetune.runs import Run
from vlm_app.types import Checkpoint
from vlm_app.ui.addresses import under_root
from vlm_app.ui.pieces import attribute
from vlm_app.ui.state_words import duration, size

STATES: Mapping[State, str] = {
    State.QUEUED: "Waiting",
    State.STARTING: "Starting",
    State.TRAINING: "Training",
    State.SCORING: "Scoring",
    State.STOPPED: "Stopped",
    State.BROKEN: "Broken off",
    State.FAILED: "Failed",
    State.DONE: "Done",
}


def listed(runs: Sequence[Run], left: Mapping[str, float | None], places: Mapping[str, int]) -> str:
    """The runs of a visitor; `left` are seconds, `places` those in the line, by the run's id."""
    if not runs:
        return '<p class="hint">No model was taught yet.</p>'
    lines = "".join(_line(run, left.get(run.id), places.get(run.id, 0)) for run in runs)
    return f'<ul class="run-list">{lines}</ul>'


def _line(run: Run, left: float | None, place: int) -> str:
    return (
        f'<li data-run-id="{attribute(run.id)}"><button type="button" data-run="open" class="{run.state}">'
        f"<i></i><span><strong>{escape(run.name)}</strong><small>{escape(_short(run, left, place))}</small>"
        f"{_meter(run)}</span></button></li>"
    )


def _short(run: Run, left: float | None, place: int) -> str:
    """'Training · step 30 of 60 · about 20 s left'."""
    facts = [STATES[run.state]]
    if run.state is State.QUEUED and place > 1:
        facts.append(f"{place - 1} before it")
    if run.state not in (State.DONE, State.SCORING) and run.status.step:
        facts.append(f"step {run.status.step:,} of {run.status.steps:,}")
    if run.state is State.SCORING:
        facts += _scored(run)
    if run.state is State.TRAINING and left is not None:
        facts.append(f"about {duration(left)} left")
    return " · ".join(facts)


def _scored(run: Run) -> list[str]:
    done = run.status
    return [f"{done.answered:,} of {done.to_answer:,} held-out examples"] if done.to_answer else []


def _meter(run: Run) -> str:
    if run.state not in ACTIVE:
        return ""
    share = _share(run)
    if share is None:
        return '<span class="meter unknown"><i></i></span>'
    return f'<span class="meter"><i class="ours" style="width:{100 * share:.1f}%"></i></span>'


def _share(run: Run) -> float | None:
    status = run.status
    if run.state is State.SCORING:
        return min(status.answered / status.to_answer, 1.0) if status.to_answer else None
    return min(status.step / status.steps, 1.0) if status.steps and status.step else None


# --- the run that is open -------------------------------------------------------------------


def head(run: Run, curve: Curve | None, rows: Mapping[str, Checkpoint], place: int, now: datetime) -> str:
    """Its name, what it learns from, how it stands, and what can be done."""
    return (
        f'<section class="run-head {run.state}" data-run-id="{attribute(run.id)}" data-state="{run.state}">'
        f'<h1>{escape(run.name)}</h1><p class="run-facts">{escape(_facts(run, rows, now))}</p>'
        f"{_standing(run, curve, place)}{_said(run, curve)}{_ways(run)}</section>"
    )


def _facts(run: Run, rows: Mapping[str, Checkpoint], now: datetime) -> str:
    facts = []
    if run.config:
        row = rows.get(run.config.base)
        facts.append(row.name if row else run.config.base)
    if run.data:
        facts.append(f"“{run.data.name}”: {run.data.train:,} taught, {run.data.held_out:,} held out")
    made = run.created.astimezone(now.tzinfo)
    day = "" if made.date() == now.date() else f"{made.day} {made:%b} "
    return " · ".join([*facts, f"started {day}{made:%H:%M}"])


def _standing(run: Run, curve: Curve | None, place: int) -> str:
    left = curve.seconds_left if curve else None
    facts = _short(run, left, place).partition(" · ")[2]
    epoch = ""
    if run.state is State.TRAINING and curve and run.config and run.config.steps is None:
        epoch = f" · epoch {curve.epoch:.1f} of {run.config.epochs:g}"
    words = f"{facts}{epoch}"
    return (
        f'<p class="run-state {run.state}" role="status"><i></i><strong>{STATES[run.state]}</strong> '
        f"<span>{escape(words)}</span></p>{_meter(run)}"
    )


def _said(run: Run, curve: Curve | None) -> str:
    """Why it waits or failed, and what it said itself."""
    kind = "failed" if run.state in (State.FAILED, State.BROKEN) else ""
    parts = [(kind, run.status.sentence)] if run.status.sentence else []
    parts += [("", each) for each in dict.fromkeys(curve.said if curve else ())]
    told = "".join(
        f'<div class="notice {kind}"{" role=alert" if kind else ""}><span>{escape(text)}</span></div>'
        for kind, text in parts
    )
    if run.state in (State.FAILED, State.BROKEN):
        told += (
            '<details class="run-log" data-run-log><summary>The end of what its process printed</summary>'
            "<pre></pre></details>"
        )
    return told


def notice(sentence: str) -> str:
    """A sentence about what cannot be shown."""
    return f'<div class="notice failed" role="alert"><span>{escape(sentence)}</span></div>'


def _ways(run: Run) -> str:
    """What can be done with it. What cannot be undone is asked twice."""
    made = [_button("stop", "Stop", "keeps a checkpoint")] if run.state in (State.QUEUED, *ACTIVE) else []
    if run.state in RESUMABLE and run.config:
        made.append(_button("resume", "Resume", "from its last checkpoint", "plain strong"))
    if run.config:
        made += [_button("again", "Start another like it", ""), _repeat(run, run.config)]
    gone = "The run and its checkpoints are removed; its adapter stays."
    sure = "It is ended and removed." if run.state in ACTIVE else gone
    made.append(
        '<span class="run-sure"><button type="button" class="plain danger" data-run="ask-delete">Delete'
        f'</button><span class="sure">{sure} '
        '<button type="button" class="plain danger" data-run="delete">Delete it</button>'
        '<button type="button" class="plain" data-run="keep">Keep it</button></span></span>'
    )
    return f'<div class="run-ways">{"".join(made)}</div>'


def _button(act: str, title: str, about: str, kind: str = "plain") -> str:
    return (
        f'<button type="button" class="{kind}" data-run="{act}" title="{attribute(about)}">{title}</button>'
    )


def _repeat(run: Run, config: RunConfig) -> str:
    """The file and the command that repeat a run."""
    text = run_file(config, run.data.name if run.data else "")
    command = f"vlm-app finetune run.toml --owner {run.owner}"
    return (
        '<details class="run-repeat"><summary>Repeat it in a terminal</summary>'
        f'<pre>{escape(command)}</pre><pre class="toml">{escape(text)}</pre><p>'
        '<button type="button" class="plain" data-run="copy">Copy the file</button> '
        f'<a class="plain" href="{under_root(f"/runs/{attribute(run.id)}/run.toml")}" download>'
        "Download run.toml</a></p>"
        "</details>"
    )


# --- before it starts -------------------------------------------------------------------------


def before(needed: Needs, taught: int, held: int, room: int) -> str:
    """Steps, memory and what it learns from."""
    large = needed.bytes > room
    used = min(needed.bytes / room, 1.0) if room else 1.0
    about = "" if needed.exact else "about "
    parts = {"weights": needed.weights, "what learns": needed.learned, "activations": needed.activations}
    listed = " · ".join(f"{title} {size(count)}" for title, count in parts.items())
    note = (
        '<p class="problem">That is more than models may take here: choose nf4, a smaller batch or rank, '
        "or gradient checkpointing.</p>"
        if large
        else ""
    )
    return (
        f'<dl class="run-facts3{" large" if large else ""}">'
        f"<div><dt>Examples</dt><dd><strong>{taught:,}</strong> taught<small>{held:,} held out</small></dd>"
        f"</div><div><dt>Steps</dt><dd><strong>{needed.steps:,}</strong>"
        f"<small>examples of up to {needed.tokens:,} tokens</small></dd></div>"
        f"<div><dt>Memory</dt><dd><strong>{about}{size(needed.bytes)}</strong> of {size(room)}"
        f'<span class="meter"><i class="ours" style="width:{100 * used:.1f}%"></i></span>'
        f"<small>{escape(listed)}</small></dd></div></dl>{note}"
    )


def few(taught: int, held: int) -> str:
    """A warning where there is too little to learn from, or to see whether it helped."""
    said = too_few(taught, held)
    return f'<p class="warned">{escape(said)}</p>' if said else ""


def fitting(count: int, size: int, wanted: str) -> str:
    """Said where the run does not learn from every example, as some do not hold what it takes."""
    if count == size:
        return ""
    hold = "holds" if count == 1 else "hold"
    said = f"{count:,} of {size:,} examples {hold} {escape(wanted)}: the others are left out."
    return f'<p class="hint">{said}</p>'
