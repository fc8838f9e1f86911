"""The fold 'Add a server' on the page 'Models'."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import gradio as gr
from gradio.components import Component

from vlm_app.servers import KINDS, Kind

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
            name = gr.Textbox(
                label="Name", value=_named(FIRST), placeholder="my-gpu", max_lines=1, min_width=120,
                html_attributes=_plain(), elem_id="server-name",
            )  # fmt: skip
        with gr.Row():
            url = gr.Textbox(
                label="Address", value=FIRST.url, placeholder="http://127.0.0.1:8000/v1", max_lines=1,
                min_width=200, html_attributes=_plain(), elem_id="server-url",
            )  # fmt: skip
            key = gr.Textbox(
                label="Key, where it wants one", type="password", min_width=160, elem_id="server-key",
                html_attributes=gr.InputHTMLAttributes(autocomplete="off", spellcheck=False),
            )  # fmt: skip
        hint = gr.HTML(about(FIRST), elem_id="server-hint", js_on_load=None)
        add = gr.Button("Add server", variant="primary", size="md", elem_id="add-server")
        return cls(name, kind, url, key, add, hint, gr.HTML(elem_id="server-bridge", js_on_load=BRIDGE))

    @property
    def given(self) -> set[Component]:
        """What `add` reads."""
        return {self.name, self.kind, self.url, self.key}

    @property
    def usual(self) -> list[Component]:
        """What another kind changes, in the order of `picked`."""
        return [self.name, self.url, self.hint]


def picked(kind: str, name: str, url: str) -> tuple[str, str, str]:
    """Name, address and hint after another kind was picked; what a user wrote by hand stays."""
    chosen = KINDS[kind]
    names, urls = {_named(each) for each in KINDS.values()}, {each.url for each in KINDS.values()}
    return (
        _named(chosen) if name.strip() in names | {""} else name,
        chosen.url if url.strip() in urls | {""} else url,
        about(chosen),
    )


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


def _plain() -> gr.InputHTMLAttributes:
    return gr.InputHTMLAttributes(autocomplete="off", spellcheck=False, autocapitalize="off")
