"""What to do with the adapter that a run made: its card, and the ways from there, as HTML."""

from __future__ import annotations

from html import escape
from pathlib import Path

from vlm_app.finetune.adapters import Card, rounding
from vlm_app.ui.adapter_card import Fact, facts
from vlm_app.ui.addresses import under_root
from vlm_app.ui.pieces import attribute


def then(id: str, card: Card, merged: Path | None) -> str:
    """The section of an adapter's card, with its buttons; `merged` is the model that was merged from it."""
    listed = "".join(_fact(fact) for fact in facts(card))
    return (
        f'<section class="run-card" data-adapter="{attribute(id)}"><h2>The adapter</h2><dl>{listed}</dl>'
        '<div class="run-ways">'
        '<button type="button" class="plain strong" data-run="chat">Chat with it</button>'
        f'<a class="plain" href="{under_root(f"/adapter/{attribute(id)}")}" download>Download</a>'
        f"{'' if merged else _MERGE}{_push(merged)}{_delete()}</div>{_merged(id, card, merged)}"
        '<p id="adapter-said" role="status"></p></section>'
    )


def _fact(fact: Fact) -> str:
    beside = f" <small>{escape(fact.beside)}</small>" if fact.beside else ""
    return f"<div><dt>{fact.title}</dt><dd>{escape(fact.value)}{beside}</dd></div>"


_MERGE = (
    '<button type="button" class="plain" data-run="merge" '
    'title="a whole model with the adapter in its weights">Merge into its base</button>'
)


def _merged(id: str, card: Card, merged: Path | None) -> str:
    """Where the merged model is, and the way to chat with it."""
    if merged is None:
        return ""
    where = f"<code>merged/{escape(id)}/{escape(merged.name)}</code>"
    return (
        f'<p class="run-merged">The merged model is in the folder {where} of the data folder. '
        f"{escape(rounding(card))} "
        '<button type="button" class="plain" data-run="add-merged">Add it to the models</button></p>'
    )


def _push(merged: Path | None) -> str:
    """The token goes to the Hub and nowhere else: the field is emptied, and nothing of it is kept."""
    return (
        '<details class="run-push"><summary class="plain">Push to the Hub…</summary>'
        '<form data-run-push autocomplete="off">'
        '<label class="run-field"><span>Repository</span><input type="text" name="repo" '
        'placeholder="you/name" autocomplete="off"><small>a new one is made</small></label>'
        '<label class="run-field"><span>Your token</span><input type="password" name="token" '
        'autocomplete="new-password"><small>with the right to write; it is not kept</small></label>'
        '<label class="run-field check"><input type="checkbox" name="private" checked><span>Private</span>'
        f"<small>only you see it</small></label>{_WHOLE if merged else ''}"
        '<button type="submit" class="plain strong">Push</button></form></details>'
    )


_WHOLE = (
    '<label class="run-field check"><input type="checkbox" name="merged"><span>Merged</span>'
    "<small>the whole model instead of the adapter</small></label>"
)


def _delete() -> str:
    return (
        '<span class="run-sure"><button type="button" class="plain danger" data-run="ask-delete">'
        'Delete the adapter</button><span class="sure">Chats can no longer use it. '
        '<button type="button" class="plain danger" data-run="delete-adapter">Delete it</button>'
        '<button type="button" class="plain" data-run="keep">Keep it</button></span></span>'
    )
