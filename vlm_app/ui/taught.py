"""What stands under an answer that teaches: thumbs, a correction, a choice, the example that it became."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from vlm_app.chat import Alternative, How, Message, split_thinking
from vlm_app.finetune.answers import PLACES
from vlm_app.types import Answer
from vlm_app.ui.pieces import attribute

Places = Mapping[str, str]  # names of datasets, by the ids of their examples
NOWHERE: Places = {}
SAID: Mapping[How, str] = {
    How.APPROVED: "Approved", How.REJECTED: "Rejected",
    How.CORRECTED: "Corrected", How.PREFERRED: "Preferred to the other answer",
}  # fmt: skip


def thumbs(message: Message, index: int) -> str:
    """Good, bad, and 'Correct…' for the answer that is shown, the `index`th; '' for a failed one."""
    answer = message.answer
    if answer is not None and answer.error:  # nothing was answered
        return ""
    up, down = (f' aria-pressed="{"true" if message.vote == vote else "false"}"' for vote in (1, -1))
    correct = "" if answer is None else _correct(message, answer, index)
    return _button("up", "Good answer", index, up) + _button("down", "Bad answer", index, down) + correct


def _correct(message: Message, answer: Answer, index: int) -> str:
    """Words are corrected where they stand, places on the workbench."""
    if answer.task in PLACES:
        return (
            f'<button type="button" class="act" title="Correct…" aria-label="Correct…" data-bench="chat" '
            f'data-message="{escape(message.id, quote=True)}" data-given="{index}">'
            '<i class="ico correct"></i></button>'
        )
    taught = message.taught
    text = taught.text if taught and taught.how is How.CORRECTED else split_thinking(answer.text)[1]
    pictures = ' data-pictures="yes"' if answer.seen.size or answer.regions else ""
    return _button("correct", "Correct…", index, f' data-text="{escape(text, quote=True)}"{pictures}')


def better(given: Sequence[Alternative], index: int, indices: Sequence[int]) -> str:
    """The button that prefers an answer to another of those with `indices`; '' where there is no other."""
    others = [at for at in indices if at != index]
    if not others:
        return ""
    against = max((at for at in others if at < index), default=others[0])
    taught = given[index].taught
    pressed = "true" if taught and taught.how is How.PREFERRED else "false"
    return (
        f'<button type="button" class="again better" data-teach="better" data-index="{index}" '
        f'data-against="{against}" aria-pressed="{pressed}" '
        f'title="Better than answer {against + 1} of {len(given)}">This one is better</button>'
    )


def became(given: Alternative, index: int, places: Places) -> str:
    """The line that says which example an answer became, with the way to change or undo that."""
    taught = given.taught
    name = places.get(taught.example) if taught else None
    if taught is None or name is None:
        return ""
    correction = ""
    if taught.how is How.CORRECTED:
        correction = f'<div class="correction" dir="auto">{escape(taught.text)}</div>'
    return (
        f'<div class="taught">{correction}<p>{SAID[taught.how]} · in '
        f'<button type="button" class="link" data-teach="datasets" data-index="{index}" '
        f'aria-haspopup="menu" title="Choose a dataset">{escape(name)} ⌄</button> · '
        '<button type="button" class="link" data-teach="finetune" '
        f'data-dataset="{attribute(taught.dataset)}">Fine-tune</button> · '
        f'<button type="button" class="link" data-teach="back" data-index="{index}">Take back</button>'
        "</p></div>"
    )


def _button(act: str, title: str, index: int, extra: str) -> str:
    return (
        f'<button type="button" class="act" data-teach="{act}" data-index="{index}" title="{title}" '
        f'aria-label="{title}"{extra}><i class="ico {act}"></i></button>'
    )
