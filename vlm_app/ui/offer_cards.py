"""Beside the built-in model: real ones that fit this machine, one click from a chat."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from vlm_app.types import Checkpoint
from vlm_app.ui.machine import button, meter
from vlm_app.ui.state_words import ON_THE_WAY, size, status

if TYPE_CHECKING:
    from vlm_app.engine.offers import Offer
    from vlm_app.engine.states import ModelState

LOOKING = '<p class="net">Looking for larger models on the Hugging Face Hub…</p>'
WORD = 0.75  # of a word stands behind a token of English text


def place(why: str) -> str:
    """Why another model opens here than the one that was chosen for this place; '' for no reason."""
    return f'<p class="net" role="note">{escape(why)}</p>' if why else ""


def offered(offers: Sequence[Offer], states: Sequence[ModelState]) -> str:
    """HTML of the models that can be downloaded, or are already here; those on their way show it."""
    if not offers:
        return '<p class="net">No other model of the catalog fits this machine.</p>'
    now = {each.model: each for each in states}
    items = "".join(_offer(each, now.get(each.checkpoint.id)) for each in offers)
    return (
        '<section class="offers" aria-labelledby="offers-title">'
        f'<h2 id="offers-title">For your own photos and documents</h2><ul>{items}</ul></section>'
    )


def offline(rows: Sequence[Checkpoint]) -> str:
    """One line without a network: what is on disk and can be asked. `rows` are those."""
    buttons = ", ".join(
        f'<button type="button" class="inline" data-act="pick" data-model="{escape(row.id, quote=True)}">'
        f"{escape(row.name)}</button>"
        for row in rows
    )
    here = f"On disk: {buttons}." if buttons else "No other model is on disk."
    return f'<p class="net">The Hugging Face Hub cannot be reached. {here}</p>'


def _offer(offer: Offer, state: ModelState | None) -> str:
    row = offer.checkpoint
    return (
        f'<li data-model="{escape(row.id, quote=True)}"><div><p><strong>{escape(row.name)}</strong> '
        f"<span>{_what(offer)}</span></p>"
        f"<small>{escape(' · '.join(_facts(offer, state)))}</small>{meter(state) if state else ''}</div>"
        f"{_button(offer, state)}</li>"
    )


def _what(offer: Offer) -> str:
    """What it does, in the words that tell the offers apart."""
    does = {(True, True): "chats and draws boxes", (True, False): "draws boxes", (False, True): "chats"}
    return does.get((offer.draws, offer.chats), "")


def _facts(offer: Offer, state: ModelState | None) -> list[str]:
    if state is not None and state.status != "ready":
        return [state.detail if state.status in ("failed", "waiting") else status(state)]
    words = offer.tokens_per_second * WORD
    speed = f"up to {words:.0f} words/s" if words >= 1 else f"up to {words * 60:.0f} words/min"
    return [
        "loaded" if state else f"{size(offer.download)} to download" if offer.download else "on disk",
        *([speed] if offer.tokens_per_second else []),
        *([offer.checkpoint.licence] if offer.checkpoint.licence else []),
    ]


def _button(offer: Offer, state: ModelState | None) -> str:
    name = offer.checkpoint.name
    if state is not None and state.status in ON_THE_WAY:
        return button("cancel", "Cancel", name)
    if state is not None and state.status == "failed":
        return button("offer", "Try again", name)
    return button("offer", "Download and chat" if offer.download and state is None else "Chat", name)
