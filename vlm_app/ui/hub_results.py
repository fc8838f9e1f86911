"""What the Hub said, as HTML: who is signed in, what a search found."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from vlm_app.hub import Found


def account(name: str) -> str:
    """Who is signed in; `name` is empty for nobody."""
    who = f"Signed in: <strong>{escape(name)}</strong>" if name else "Nobody is signed in."
    return f'<p role="status">{who}</p>'


def results(words: str, found: Sequence[Found]) -> str:
    """The list of what a search found, each with a button where it can be added."""
    if not found:
        return f'<p class="hint" role="status">The Hub knows no such model for “{escape(words)}”.</p>'
    return f'<ul class="found" aria-label="Found on the Hub">{"".join(map(_result, found))}</ul>'


def added(name: str) -> str:
    """After a model was added."""
    return f'<p class="hint" role="status">{escape(name)} stands in the table now, as unlisted.</p>'


def _result(found: Found) -> str:
    facts = (
        f"{found.downloads:,} downloads" if found.downloads else "",
        found.licence,
        "gated" if found.gated else "",
    )
    return (
        f"<li><span><strong>{escape(found.repo)}</strong>"
        f"<small>{escape(' · '.join(filter(None, facts)))}</small></span>{_way(found)}</li>"
    )


def _way(found: Found) -> str:
    if found.listed:
        return "<small>in the table</small>"
    if not found.family:
        return "<small>architecture not known here</small>"
    repo = escape(found.repo, quote=True)
    return (
        f'<button type="button" class="plain" data-act="add-found" data-model="{repo}" '
        f'aria-label="Add {repo}">Add</button>'
    )
