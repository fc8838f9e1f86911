"""Whether a model fits on this machine, in the forms in which the page says it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from vlm_app.types import Checkpoint
from vlm_app.ui import server_words
from vlm_app.ui.state_words import size

if TYPE_CHECKING:
    from vlm_app.engine.memory import Fit
    from vlm_app.engine.states import ModelState

PRECISIONS = ("auto", "bf16", "fp16", "fp32", "int8", "nf4")
ESTIMATED = ("fp32", "bf16", "int8", "nf4")  # fp16 takes what bf16 takes
TOO_LARGE, ELSEWHERE = 10**15, 2 * 10**15  # behind every number of bytes, when sorted
Fitting = Callable[[str, str], "Fit | None"]  # of a model's id in a precision


def column(rows: Iterable[Checkpoint], states: Sequence[ModelState], fitting: Fitting) -> str:
    """JSON for the browser: by id the cell of each row that can be asked, its place, and its state."""
    now = {each.model: each for each in states}
    cells = {
        row.id: _remote(row) if row.server else _cell(row.id, now.get(row.id), fitting)
        for row in rows
        if row.server or row.runs.here
    }
    return json.dumps({"cells": cells})


def on_a_server(row: Checkpoint) -> str:
    """The cell of a row that a user's server has: where, and how that server is."""
    now = server_words.of(row)
    words = escape(f"on a server · {now.words}")
    title = f' title="{escape(now.error, quote=True)}"' if now.error else ""
    return (
        f'<span class="where served {now.kind}"{title}><i></i>'
        f"<span>On {escape(row.server)}<small>{words}</small></span></span>"
    )


def details(model: str, fits: Mapping[str, Fit | None]) -> str:
    """JSON for the browser: what a model takes in each precision, as a table."""
    return json.dumps({"estimate": {"model": model, "html": estimates(fits)}})


def short(fit: Fit | None) -> str:
    """For a picker or a chip: 'fits, 1.4 GB'; empty where nothing is known."""
    if fit is None:
        return ""
    needed = size(fit.estimate.total)
    return f"fits, {needed}" if fit.fits else f"too large, {needed} of {size(fit.free)} free"


def choice(precision: str, fit: Fit | None) -> str:
    """A precision in its picker: 'nf4: fits, 1.4 GB', 'auto: bf16, 1.4 GB'."""
    if fit is None:
        return precision
    if precision == "auto" and fit.fits:
        return f"auto: {fit.precision}, {size(fit.estimate.total)}"
    return f"{precision}: {short(fit)}"


def estimates(fits: Mapping[str, Fit | None]) -> str:
    """A table of what each precision takes; empty where nothing is known of the model."""
    known = {precision: fit for precision, fit in fits.items() if fit is not None}
    if not known:
        return ""
    rough = "" if all(fit.estimate.exact for fit in known.values()) else " Estimated by its parameters."
    free = size(next(iter(known.values())).free)
    heads = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("Precision", "Here", "Together", "Weights", "Cache", "Images", "Reserve")
    )
    body = "".join(_estimate(precision, fit) for precision, fit in known.items())
    table = f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody>"
    return (
        f'<div class="scroll"><table class="estimate">{table}</table></div>'
        f"<small>{free} are free for models.{rough}</small>"
    )


def _estimate(precision: str, fit: Fit) -> str:
    parts = fit.estimate
    counts = (parts.total, parts.weights, parts.cache, parts.images, parts.reserve)
    cells = "".join(f"<td>{size(count)}</td>" for count in counts)
    kind, word = ("fits", "fits") if fit.fits else ("large", "too large")
    name = "bf16, fp16" if precision == "bf16" else escape(precision)
    return f'<tr><th scope="row">{name}</th><td class="{kind}">{word}</td>{cells}</tr>'


def _remote(row: Checkpoint) -> dict[str, str]:
    return {"html": on_a_server(row), "key": str(TOO_LARGE - 2), "state": server_words.of(row).kind}


def _cell(id: str, state: ModelState | None, fitting: Fitting) -> dict[str, str]:
    """HTML and place of one row's verdict; a loaded model shows how it is."""
    if state is not None and state.status == "ready":
        words = " · ".join(filter(None, (escape(state.precision), size(state.bytes) if state.bytes else "")))
        return _told("loaded", "Loaded", words, str(state.bytes), state.status)
    if state is not None and state.status in ("loading", "waiting", "unloading"):
        return _told("loading", state.status.capitalize(), "", "0", state.status)
    fit = fitting(id, "auto")
    return _told("in-process", "Here", "", str(TOO_LARGE - 1), "") if fit is None else _verdict(fit)


def _verdict(fit: Fit) -> dict[str, str]:
    needed, precision = fit.estimate.total, escape(fit.precision)
    words = f"{precision} · {size(needed)}"
    if fit.fits:
        return _told("in-process", "Fits", words, str(needed), "", fit.words)
    return _told("large", "Too large", words, str(TOO_LARGE + needed), "", fit.words)


def _told(kind: str, name: str, words: str, key: str, state: str, sentence: str = "") -> dict[str, str]:
    small = f"<small>{words}</small>" if words else ""
    title = f' title="{escape(sentence, quote=True)}"' if sentence else ""
    html = f'<span class="where {kind}"{title}><i></i><span>{name}{small}</span></span>'
    return {"html": html, "key": key, "state": state}
