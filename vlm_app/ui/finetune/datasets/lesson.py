"""One example: its question and answers, and the text that a model is taught, token by token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from html import escape
from itertools import pairwise

from vlm_app.finetune.examples import Held, Reply
from vlm_app.finetune.preview import Preview
from vlm_app.grounding import colours
from vlm_app.types import Checkpoint
from vlm_app.ui.addresses import under_root
from vlm_app.ui.finetune.datasets.words import SOURCES, maker, many, task_name, when
from vlm_app.ui.pieces import attribute
from vlm_app.ui.prose import Phrase, prose


def lesson(
    held: Held, at: int, ids: Sequence[str], out: bool, rows: Mapping[str, Checkpoint], now: datetime
) -> str:
    """An example; `at` is its place among `ids`, those that are shown."""
    return (
        f'<article class="lesson" data-example="{attribute(held.example.id)}">{_bar(held, at, ids)}'
        '<div class="lesson-body"><div class="lesson-picture"><vlm-overlay id="tune-overlay"></vlm-overlay>'
        f'{_pictures(held)}</div><div class="lesson-text">{_said(held)}'
        f"{_facts(held, out, rows, now)}</div></div>"
        "</article>"
    )


def _bar(held: Held, at: int, ids: Sequence[str]) -> str:
    before = ids[at - 1] if at > 0 else ""
    after = ids[at + 1] if 0 <= at < len(ids) - 1 else ""
    place = f"{at + 1:,} of {len(ids):,}" if at >= 0 else ""
    return (
        '<div class="lesson-bar"><button type="button" class="plain" data-tune="back">‹ All examples</button>'
        f"{_step(before, '‹', 'Previous example')}<span>{place}</span>{_step(after, '›', 'Next example')}"
        '<button type="button" class="act" data-tune="ask-drop" title="Delete this example" '
        'aria-label="Delete this example"><i class="ico delete"></i></button></div>'
        '<p class="tune-sure" hidden>Delete this example?'
        '<button type="button" class="plain danger" data-tune="drop" '
        f'data-next="{attribute(after or before)}">Delete</button>'
        '<button type="button" class="plain" data-tune="keep">Keep</button></p>'
    )


def _step(id: str, sign: str, name: str) -> str:
    off = "" if id else " disabled"
    return (
        f'<button type="button" class="plain" data-tune="example" data-example="{attribute(id)}" '
        f'aria-label="{name}" title="{name}"{off}>{sign}</button>'
    )


def _pictures(held: Held) -> str:
    """The pictures of an example of several."""
    if len(held.media) < 2:
        return ""
    buttons = "".join(
        f'<button type="button" data-tune="picture" data-picture="{number}" '
        f'aria-label="Picture {number + 1}">'
        f'<img src="{under_root(f"/media/{attribute(id)}?side=120")}" alt=""></button>'
        for number, id in enumerate(held.media)
    )
    return f'<div class="lesson-pictures">{buttons}</div>'


def _said(held: Held) -> str:
    example = held.example
    asked = f"<p>{escape(example.query)}</p>" if example.query.strip() else ""
    html = f'<h3>{escape(task_name(example.task))}</h3><div class="lesson-asked">{asked}</div>'
    if example.chosen is not None:
        html += f'<h3 class="right">The right answer</h3>{_reply(example.chosen, "right")}'
    if example.rejected is not None:
        html += f'<h3 class="wrong">A wrong answer</h3>{_reply(example.rejected, "wrong")}'
    return html


def _reply(reply: Reply, kind: str) -> str:
    keyed = zip(reply.regions, colours(reply.regions), strict=True)
    phrases = [
        Phrase(*region.span, (f"{kind}-{number}",), colour)
        for number, (region, colour) in enumerate(keyed)
        if region.span
    ]
    text = prose(reply.text, phrases, markdown=False) if reply.text.strip() else ""
    count = f'<p class="hint">{many(len(reply.regions), "region")}</p>' if reply.regions else ""
    nothing = '<p class="hint">Nothing is there.</p>' if not text and not reply.regions else ""
    return f'<div class="lesson-reply {kind}"><div class="prose-text">{text}</div>{nothing}{count}</div>'


def _facts(held: Held, out: bool, rows: Mapping[str, Checkpoint], now: datetime) -> str:
    example = held.example
    facts = {
        "From": SOURCES[example.source],
        "Made by": maker(example, rows),
        "Added": when(example.created, now) if example.created else "",
        "In a run": "held out, to see whether it helped" if out else "taught",
        "Note": example.note,
    }
    lines = "".join(f"<dt>{name}</dt><dd>{escape(said)}</dd>" for name, said in facts.items() if said)
    return f'<dl class="lesson-facts">{lines}</dl>'


# --- as a model is taught it ------------------------------------------------------------------


def taught(picker: str, body: str, example: str) -> str:
    """The training text of an example, under the picker of models."""
    return (
        f'<section class="lesson-taught" data-example="{attribute(example)}">'
        f'<div class="heads"><h3>As a model is taught it</h3>{picker}</div>{body}</section>'
    )


def picker(models: Sequence[Checkpoint], chosen: str, here: frozenset[str]) -> str:
    """Models that can be taught, those that are on this computer first."""

    def options(rows: Sequence[Checkpoint]) -> str:
        return "".join(
            f'<option value="{attribute(row.id)}"{" selected" if row.id == chosen else ""}>'
            f"{escape(row.name)}</option>"
            for row in rows
        )

    near = [row for row in models if row.id in here]
    far = [row for row in models if row.id not in here]
    away = f'<optgroup label="Not downloaded">{options(far)}</optgroup>' if far else ""
    return (
        '<select data-tune-model aria-label="Model">'
        f'<optgroup label="On this computer">{options(near)}</optgroup>{away}</select>'
    )


def text(seen: Preview) -> str:
    """The training text: what carries loss is marked, control tokens are grey."""
    wrong = " wrong" if seen.wrong else ""
    meaning = "what the model learns not to say" if seen.wrong else "what the model learns to say"
    carries = "1 token carries" if seen.taught == 1 else f"{seen.taught:,} tokens carry"
    visual = f", {seen.visual:,} of them stand for the picture" if seen.visual else ""
    note = f'<p class="notice"><span>{escape(seen.note)}</span></p>' if seen.note else ""
    rejected = (
        f'<h4>The wrong answer, as it would write it</h4><pre class="training"><mark class="wrong">'
        f"{escape(seen.rejected)}</mark></pre>"
        if seen.rejected is not None
        else ""
    )
    return (
        f'<pre class="training" tabindex="0">{_marked(seen, wrong)}</pre>'
        f'<p class="hint"><mark class="sample{wrong}">Marked</mark> is {meaning}: {carries} loss. '
        f"{seen.tokens:,} tokens in all{visual}.</p>{note}{rejected}"
    )


def _marked(seen: Preview, wrong: str) -> str:
    edges = [0, *(edge for span in seen.learned for edge in span), len(seen.text)]
    html = ""
    for number, (begin, end) in enumerate(pairwise(edges)):
        piece = escape(seen.text[begin:end])
        html += f'<mark class="loss{wrong}">{piece}</mark>' if number % 2 and piece else piece
    return html
