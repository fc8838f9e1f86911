"""HTML that is drawn again while somebody is at work in it: what they opened, typed or point at stays."""

from __future__ import annotations

from typing import Any

import gradio as gr

# Gradio itself draws nothing here: it would make every element like the one in its place of the new HTML,
# and take away what the browser did to it.
DRAW = "vlmSteady(element, props, watch)"


def steady(value: str = "", **more: Any) -> gr.HTML:
    """A `gr.HTML` that `assets/steady.js` draws: the page changes only where its HTML did."""
    return gr.HTML(value, html_template="", js_on_load=DRAW, **more)
