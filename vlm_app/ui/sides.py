"""Answers side by side: one column for each model, or adapter, that answered a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vlm_app.chat import Alternative, Message
from vlm_app.types import Answer
from vlm_app.ui.pieces import Pieces, attribute

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
    return Alternative(message.answer or Answer(message.turn.text), message.vote, shown=True)


def compared(pieces: Pieces, message: Message, again: str) -> str:
    """The columns of a message that several have answered, above the menu `again`."""
    sides = [_side(pieces, message, indices) for indices in writers(message).values()]
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


def _side(pieces: Pieces, message: Message, indices: Sequence[int]) -> str:
    """What one of them answered: the answer that the chat goes on with, or its latest."""
    at = next((at for at in indices if message.given[at].shown), indices[-1])
    answer, going = message.given[at].answer, message.given[at].shown
    warning = pieces.warning(answer, going)
    body = pieces.body(answer, message.id, None if going else at)
    signature = pieces.signature(answer, named=True)
    buttons = switcher(message, indices) + acts(message, last=True) if going else act("copy", "Copy")
    foot = f'<div class="foot"><div class="acts">{buttons}</div>{signature}</div>'
    html = f"{warning}{body}{pieces.ending(answer, going)}{foot}{GOES_ON if going else KEEP.format(at)}"
    return _section(pieces.writer_line(answer), html, "going" if going else "")


def _section(head: str, html: str, state: str = "") -> str:
    return f'<section class="side {state}"><h4 class="writer">{head}</h4>{html}</section>'


# --- buttons under an answer --------------------------------------------------------------


def act(act: str, title: str, extra: str = "") -> str:
    return (
        f'<button type="button" class="act" data-act="{act}" title="{title}" aria-label="{title}"{extra}>'
        f'<i class="ico {act}"></i></button>'
    )


def acts(message: Message, last: bool) -> str:
    up, down = (f' aria-pressed="{"true" if message.vote == vote else "false"}"' for vote in (1, -1))
    again = act("regenerate", "Regenerate") if last else ""
    return f"{act('copy', 'Copy')}{act('up', 'Good answer', up)}{act('down', 'Bad answer', down)}{again}"


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
