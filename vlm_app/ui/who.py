"""Who looks at the page, and what is not theirs to do: a line in the sidebar, and controls that go.

What a role may not do is refused behind the page (`people.check`); here it is only not offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

import gradio as gr

from vlm_app import limits
from vlm_app.api.people import person_of
from vlm_app.people import Act, Person, Role, may, not_theirs
from vlm_app.ui.addresses import under_root
from vlm_app.ui.page import Parts
from vlm_app.ui.workbench.fixed import empty

NOT = "(acts) => { document.documentElement.dataset.not = acts || ''; }"
ON_MODELS = (Act.LOAD, Act.UNLOAD, Act.MODELS, Act.SERVERS)
ON_RUNS = (Act.TRAIN, Act.BRING, Act.MERGE, Act.PUSH)


class WhoListeners:
    """What a page shows of its visitor, for `Parts` that were just drawn."""

    def __init__(self, parts: Parts) -> None:
        self.on = parts

    def connect(self, loaded: Any) -> None:
        """Once the page is loaded; `loaded` is the end of its first load."""
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "queue": False}
        acts = gr.Textbox(visible=False)
        shown = [self.on.chats.who, self.on.models.why, self.on.finetune.runs.why, self.on.bench.first, acts]
        loaded.then(self.show, None, shown, **quiet)
        acts.change(None, [acts], None, js=NOT, **quiet)

    def show(self, request: gr.Request) -> list[Any]:
        """Nothing for an admin who did not have to sign in, as at a laptop."""
        person = person_of(request)
        if person.role is Role.ADMIN and not person.name:
            return [gr.skip()] * 5
        refused = [act for act in Act if not may(person, act)]
        return [
            line(person),
            why(person, ON_MODELS),
            why(person, ON_RUNS),
            empty(limits.limits_for(person.role).pages),
            " ".join(refused),
        ]


def line(person: Person) -> str:
    """Who it is, with the way in or out."""
    if person.name:
        return (
            f'<form method="post" action="{under_root("/sign-out")}" class="person">'
            f"<span><strong>{escape(person.name)}</strong>, {person.role}</span>"
            '<button class="plain">Sign out</button></form>'
        )
    way = f' <a href="{under_root("/sign-in")}">Sign in</a>' if person.signs_in else ""
    return f'<p class="person"><span>You are a {person.role} here.</span>{way}</p>'


def why(person: Person, acts: Sequence[Act]) -> str:
    """What of the acts is not theirs, and for whom it is; empty where all are."""
    said = "<br>".join(map(escape, not_theirs(person, acts)))
    return f'<p class="not-yours" role="note">{said}</p>' if said else ""
