"""Answers side by side: one column for each model, or adapter, that answered a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlm_app.chat import Alternative, Message
from vlm_app.types import Answer
from vlm_app.ui import taught
from vlm_app.ui.pieces import Pieces, attribute
from vlm_app.ui.taught import NOWHERE, Places

Writer = tuple[str, str | None]  # model, adapter
KEEP = '<button type="button" class="plain" data-act="go-on" data-index="{}">Continue with this one</button>'
GOES_ON = '<p class="goes-on">The chat goes on with this answer.</p>'


def writers(message: Message) -> dict[Writer, list[int]]:
    """Who answered a message, the first to answer first: indices among `given`."""
    found: dict[Writer, list[int]] = {}
    for at, each in enumerate(message.given):
        found.setdefault(_writer(each.answer), []).append(at)
    return found


def _writer(answer: Answer) -> Writer:
    return answer.model, answer.adapter


def _alone(message: Message) -> Alternative:
    answer = message.answer or Answer(message.turn.text)
    return Alternative(answer, message.vote, shown=True, taught=message.taught)


def compared(pieces: Pieces, message: Message, again: str, places: Places = NOWHERE) -> str:
    """The columns of a message that several have answered, above the menu `again`."""
    sides = [_side(pieces, message, indices, places) for indices in writers(message).values()]
    return _article(message, sides, f'<div class="acts">{again}</div>')


def growing(pieces: Pieces, message: Message, answer: Answer, live: str) -> str:
    """The same with the answer that is being written last; `live` is what there is of it."""
    answered = replace(message, given=message.given or (_alone(message),))
    columns = writers(answered)
    columns.pop(_writer(answer), None)  # it takes the place of an earlier one of the same model
    sides = [_side(pieces, answered, indices) for indices in columns.values()]
    return _article(message, [*sides, _section(pieces.writer_line(answer), live, "live")], "", " live")


def _article(message: Message, sides: Sequence[str], below: str, state: str = "") -> str:
    return (
        f'<article class="turn answer compared{state}" data-message="{attribute(message.id)}">'
        f'<div class="sides">{"".join(sides)}</div>{below}</article>'
    )


def _side(pieces: Pieces, message: Message, indices: Sequence[int], places: Places = NOWHERE) -> str:
    """What one of them answered: the answer that the chat goes on with, or its latest."""
    at = next((at for at in indices if message.given[at].shown), indices[-1])
    answer, going = message.given[at].answer, message.given[at].shown
    warning = pieces.warning(answer, going)
    body = pieces.body(answer, message.id, None if going else at)
    signature = pieces.signature(answer, named=True)
    buttons = switcher(message, indices) + acts(message, last=True) if going else act("copy", "Copy")
    buttons += taught.better(message.given, at, [at, *_rivals(message, at)])
    became = taught.became(message.given[at], at, places)
    foot = f'<div class="foot"><div class="acts">{buttons}</div>{signature}</div>{became}'
    html = f"{warning}{body}{pieces.ending(answer, going)}{foot}{GOES_ON if going else KEEP.format(at)}"
    return _section(pieces.writer_line(answer), html, "going" if going else "")


def _rivals(message: Message, at: int) -> list[int]:
    """The answers of the other columns that are shown."""
    shown = (
        next((each for each in indices if message.given[each].shown), indices[-1])
        for indices in writers(message).values()
    )
    return [each for each in shown if each != at]


def _section(head: str, html: str, state: str = "") -> str:
    return f'<section class="side {state}"><h4 class="writer">{head}</h4>{html}</section>'


# --- buttons under an answer --------------------------------------------------------------


def act(act: str, title: str, extra: str = "") -> str:
    return (
        f'<button type="button" class="act" data-act="{act}" title="{title}" aria-label="{title}"{extra}>'
        f'<i class="ico {act}"></i></button>'
    )


def acts(message: Message, last: bool) -> str:
    again = act("regenerate", "Regenerate") if last else ""
    return f"{act('copy', 'Copy')}{taught.thumbs(message, shown_of(message))}{again}"


def shown_of(message: Message) -> int:
    """Which of its answers is shown."""
    return next((at for at, each in enumerate(message.given) if each.shown), 0)


def lesson(message: Message, places: Places) -> str:
    """The line of the answer that is shown."""
    at = shown_of(message)
    return taught.became((message.given or (_alone(message),))[at], at, places)


def preferring(message: Message) -> str:
    """The button that prefers the answer that is shown to another one of the switcher."""
    return taught.better(message.given, shown_of(message), range(len(message.given)))


def switcher(message: Message, indices: Sequence[int]) -> str:
    """‹ 1/2 › through the answers with these indices, one of which is shown; '' for a single one."""
    if len(indices) < 2:
        return ""
    place = next(place for place, at in enumerate(indices) if message.given[at].shown)

    def step(to: int, sign: str, title: str) -> str:
        there = f' data-index="{indices[to]}"' if 0 <= to < len(indices) else " disabled"
        named = f'title="{title}" aria-label="{title}"'
        return f'<button type="button" class="act" data-act="choose" {named}{there}>{sign}</button>'

    back, on = step(place - 1, "‹", "Previous answer"), step(place + 1, "›", "Next answer")
    return f'<span class="switcher">{back}<span>{place + 1}/{len(indices)}</span>{on}</span>'
