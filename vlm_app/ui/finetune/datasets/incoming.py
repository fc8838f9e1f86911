"""An upload as HTML: how far it is, what was found, and what became of it."""

from __future__ import annotations

from html import escape

from vlm_app.finetune.arrival import Arrival, Stage
from vlm_app.finetune.uploads import Problem, Report
from vlm_app.ui.finetune.datasets.words import many
from vlm_app.ui.pieces import attribute

MOST_LISTED = 1_000  # problems: as many as a report holds

_STOP = '<button type="button" class="plain" data-tune="stop">Stop</button>'
_CLOSE = '<button type="button" class="plain" data-tune="dismiss">Close</button>'


def incoming(arrival: Arrival | None, into: str) -> str:
    """An upload on its way or just ended; `into` is the name of the dataset that it goes to, or empty."""
    if arrival is None:
        return ""
    body = {
        Stage.RECEIVING: _receiving,
        Stage.WAITING: _waiting,
        Stage.CHECKING: _checking,
        Stage.ASKING: _asking,
        Stage.ADDING: _adding,
        Stage.DONE: _done,
        Stage.FAILED: _failed,
    }[arrival.stage](arrival, into)
    return (
        f'<section class="tune-arrival {arrival.stage}" data-arrival="{attribute(arrival.id)}" '
        f'aria-label="Upload" role="status">{body}</section>'
    )


def _line(title: str, ways: str, about: str = "") -> str:
    said = f"<p>{about}</p>" if about else ""
    return f'<div class="line"><strong>{title}</strong><span class="ways">{ways}</span></div>{said}'


def _receiving(arrival: Arrival, into: str) -> str:
    share = min(1.0, arrival.bytes / arrival.total) if arrival.total else 0.0
    title = f"Receiving {escape(arrival.name)}…"
    about = f"{arrival.bytes / 1e6:,.1f} of {arrival.total / 1e6:,.1f} MB"
    return f'{_line(title, _STOP, about)}<progress max="1" value="{share:.3f}"></progress>'


def _waiting(arrival: Arrival, into: str) -> str:
    return f"{_line(f'{escape(arrival.name)} waits for its turn…', _STOP)}<progress></progress>"


def _checking(arrival: Arrival, into: str) -> str:
    title = f"Checking every row of {escape(arrival.name)}…"
    return f"{_line(title, _STOP, _so_far(arrival.report, 'good'))}<progress></progress>"


def _adding(arrival: Arrival, into: str) -> str:
    title = f"Adding to {escape(into)}…" if into else "Adding…"
    return f"{_line(title, _STOP, _so_far(arrival.report, 'added'))}<progress></progress>"


def _so_far(report: Report, word: str) -> str:
    parts = [f"{report.added:,} {word}"]
    parts += [f"{report.left_out:,} bad"] if report.left_out else []
    return ", ".join(parts)


def _asking(arrival: Arrival, into: str) -> str:
    report = arrival.report
    rows = "1 row cannot be used" if report.left_out == 1 else f"{report.left_out:,} rows cannot be used"
    where = f"to “{escape(into)}”" if into else "to a new dataset"
    ways = (
        '<button type="button" class="plain strong" data-tune="add">'
        f"Add the {report.added:,} good {'one' if report.added == 1 else 'ones'}</button>"
        '<button type="button" class="plain" data-tune="stop">Add nothing</button>'
    )
    title = f"{escape(arrival.name)}: {rows}"
    about = f"{many(report.added)} can be added {where}. Nothing was added yet."
    return f"{_line(title, ways, about)}{_details(report)}"


def _done(arrival: Arrival, into: str) -> str:
    report = arrival.report
    where = f" to “{escape(into)}”" if into else ""
    title = f"{many(report.added)} added{where}" if report.added else "Nothing new was added"
    parts = []
    if report.again:
        parts.append(f"{report.again:,} {'was' if report.again == 1 else 'were'} there already.")
    if report.left_out:
        parts.append(f"{many(report.left_out, 'row')} left out.")
    if report.alike:
        nearly = "picture nearly repeats" if report.alike == 1 else "pictures nearly repeat"
        parts.append(f"{report.alike:,} {nearly} another one.")
    if report.stopped:
        parts.append("Stopped before the end.")
    return f"{_line(title, _CLOSE, ' '.join(parts))}{_details(report)}"


def _failed(arrival: Arrival, into: str) -> str:
    title = f"{escape(arrival.name)} could not be taken in"
    return f"{_line(title, _CLOSE, escape(arrival.sentence))}{_details(arrival.report)}"


def _details(report: Report) -> str:
    return _problems(report) + _notes(report)


def _problems(report: Report) -> str:
    """Every row with something to look at: file, row and reason."""
    if not report.problems:
        return ""
    rows = "".join(_row(each) for each in report.problems[:MOST_LISTED])
    hidden = max(0, report.left_out - MOST_LISTED)
    more = f'<p class="hint">And {many(hidden, "row")} more.</p>' if hidden else ""
    return (
        '<div class="tune-problems"><table><thead><tr><th>File</th><th>Row</th>'
        "<th>What is wrong</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{more}"
    )


def _row(problem: Problem) -> str:
    kept = "" if problem.left_out else ' <small class="kept">kept</small>'
    row = f"{problem.row:,}" if problem.row else "–"
    return f"<tr><td>{escape(problem.file)}</td><td>{row}</td><td>{escape(problem.reason)}.{kept}</td></tr>"


def _notes(report: Report) -> str:
    """How it was read."""
    if not report.notes:
        return ""
    lines = "".join(f"<li>{escape(note)}</li>" for note in report.notes[:50])
    return f'<details class="tune-notes"><summary>How it was read</summary><ul>{lines}</ul></details>'
