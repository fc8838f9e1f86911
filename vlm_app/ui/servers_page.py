"""The fold 'Add a server' on the page 'Models'."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr
from gradio.components import Component

from vlm_app.servers import KINDS, Kind
from vlm_app.ui.steady import steady

BRIDGE = "window.vlmServers = (data) => trigger('click', data);"
FIRST = next(iter(KINDS.values()))


@dataclass(frozen=True)
class ServersPage:
    """The components of the fold, and what shows the servers that there are."""

    name: gr.Textbox
    kind: gr.Dropdown
    url: gr.Textbox
    key: gr.Textbox  # goes to the app once, and is emptied at once
    add: gr.Button
    hint: gr.HTML  # how a server of the chosen kind is started
    bridge: gr.HTML  # what buttons inside the list report to

    @classmethod
    def build(cls) -> ServersPage:
        """Draws the inside of the fold where it is called."""
        kinds = [(kind.title, kind.name) for kind in KINDS.values()]
        with gr.Row():
            kind = gr.Dropdown(
                kinds, value=FIRST.name, label="Kind", filterable=False, min_width=160, elem_id="server-kind"
            )
            name = _text("Name", _named(FIRST), "my-gpu", "server-name")
            url = _text("Address", FIRST.url, "http://127.0.0.1:8000/v1", "server-url", scale=2)
            key = _text("Key, if it wants one", "", "", "server-key", type="password")
        hint = steady(about(FIRST), elem_id="server-hint")
        add = gr.Button("Add server", variant="primary", size="md", elem_id="add-server")
        return cls(name, kind, url, key, add, hint, gr.HTML(elem_id="server-bridge", js_on_load=BRIDGE))

    @property
    def given(self) -> set[Component]:
        """What `add` reads."""
        return {self.name, self.kind, self.url, self.key}

    @property
    def usual(self) -> list[Component]:
        """What another kind changes, in the order of `pick`."""
        return [self.name, self.url, self.hint]


def pick() -> str:
    """Script that brings the name, address and hint of another kind; what a user wrote by hand stays."""
    kinds = {kind.name: [_named(kind), kind.url, about(kind)] for kind in KINDS.values()}
    return f"(kind, name, url) => window.vlmKind({json.dumps(kinds)}, kind, name, url)"


def about(kind: Kind) -> str:
    """How a server of this kind is started, and where its key comes from."""
    start = f"<p>Started with</p><pre><code>{escape(kind.start)}</code></pre>" if kind.start else ""
    service = "<p>A service: images and questions are sent to it.</p>" if kind.hosted else ""
    own = f", else <code>{escape(kind.key)}</code>" if kind.key else ""
    key = (
        "<p>A key that is typed here is kept in a file that only you can read, goes to this server only, and "
        "is never shown again. Without one the environment variable <code>VLM_APP_KEY_</code> with the "
        f"server's name is used{own}.</p>"
    )
    return f'<div class="hint" role="status">{start}{service}{key}</div>'


def _named(kind: Kind) -> str:
    """A name to begin with: that of its kind, in letters, digits and hyphens."""
    return "" if kind.name == "other" else kind.name.replace(".", "-")


def _text(label: str, value: str, placeholder: str, id: str, **more: Any) -> gr.Textbox:
    plain = gr.InputHTMLAttributes(autocomplete="off", spellcheck=False, autocapitalize="off")
    return gr.Textbox(
        value, label=label, placeholder=placeholder, max_lines=1, min_width=160, elem_id=id,
        html_attributes=plain, **more,
    )  # fmt: skip
