"""Ready questions as buttons: those that the chosen model can be asked."""

from __future__ import annotations

from html import escape

from vlm_app.types import Checkpoint
from vlm_app.ui.pieces import attribute
from vlm_app.workbench.ready import ready


def buttons(row: Checkpoint) -> str:
    """The ready questions of a model; a press asks one."""
    made = "".join(
        f'<button type="button" class="plain" data-bench="ready" data-name="{attribute(each.name)}" '
        f'data-kinds="{" ".join(sorted(each.kinds))}" title="{attribute(each.about)}">'
        f"{escape(each.title)}</button>"
        for each in ready(row)
    )
    return f'<div class="bench-ready" role="group" aria-label="Ready questions">{made}</div>' if made else ""
