"""What is kept for who looks at the page: how long it lasts, how it is taken away, how it is deleted."""

from __future__ import annotations

import time
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from vlm_app.api.people import owner_of
from vlm_app.settings import Place, settings
from vlm_app.tidy import Holdings, OwnData
from vlm_app.ui.addresses import under_root
from vlm_app.ui.running import Running
from vlm_app.ui.steady import steady
from vlm_app.ui.told import Told

_ENDING_SECONDS = 5.0  # for answers that are being written
# After a deletion nothing that the page shows is there any more: it begins anew, and then says what went.
AGAIN = """(said) => {
  if (!said) return;
  sessionStorage.setItem("vlm-deleted", said);
  location.replace(location.pathname);
}"""
SAID = """(asked) => {
  const said = sessionStorage.getItem("vlm-deleted") || asked;
  sessionStorage.removeItem("vlm-deleted");
  return said;
}"""  # whoever was quick was asked already


@dataclass(frozen=True)
class OwnDataPart:
    """The components at the foot of the sidebar."""

    ask: gr.Button
    said: gr.HTML
    answers: gr.Row
    delete: gr.Button
    keep: gr.Button

    @classmethod
    def build(cls) -> OwnDataPart:
        """Draws them where it is called."""
        notice(elem_id="own-lasting")
        ask = gr.Button("Delete my data", elem_id="own-ask", size="sm")
        said = steady(elem_id="own-said")
        with gr.Row(elem_id="own-answers", visible=False) as answers:
            delete = gr.Button(
                "Delete all of it", elem_id="own-delete", size="sm", variant="stop", min_width=80
            )
            keep = gr.Button("Keep it", elem_id="own-keep", size="sm", min_width=80)
        return cls(ask, said, answers, delete, keep)


def notice(elem_id: str | None = None) -> gr.HTML:
    """Draws what `lasting` says, where there is something to say."""
    return gr.HTML(
        lasting(), elem_id=elem_id, elem_classes="own-lasting", js_on_load=None, visible=bool(lasting())
    )


def lasting() -> str:
    """What is said where chats end with their machine, or by their age; '' elsewhere."""
    if settings().lasting:
        days = f"{settings().keep_days:g} {'day' if settings().keep_days == 1 else 'days'}"
        return (
            f"<p>A visitor's chats are deleted after {days} without a change.</p>"
            if settings().keep_days
            else ""
        )
    thing = "Space" if settings().place in (Place.SPACE, Place.ZEROGPU) else "container"
    return f"<p>Chats here end with this {thing}: {_export('export all chats')} to keep them.</p>"


def question(held: Holdings) -> str:
    """What is asked before anything is deleted."""
    if not held.words:
        return "<p>Nothing is kept here for you.</p>"
    export = f" You may {_export('export all chats')} first." if held.chats else ""
    return f"<p>Really? This deletes {escape(held.words)}, for good.{export}</p>"


def _export(words: str) -> str:
    return f'<a href="{escape(under_root("/chats/export.zip"), quote=True)}" download>{words}</a>'


class OwnDataListeners:
    """Asks, and deletes. Whose data it is comes from the request alone."""

    def __init__(self, on: OwnDataPart, own: OwnData, running: Running) -> None:
        self.on = on
        self.own = own
        self.running = running

    def connect(self, loaded: Any) -> None:
        """Ties events to listeners; `loaded` is the end of the page's first load."""
        on = self.on
        quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        on.ask.click(self.ask, None, [on.said, on.answers], **quiet)
        on.keep.click(lambda: ("", gr.update(visible=False)), None, [on.said, on.answers], **quiet)
        done = on.delete.click(self.delete, None, [on.said, on.answers], trigger_mode="once", **quiet)
        done.then(None, [on.said], None, js=AGAIN, **quiet)
        loaded.then(None, [on.said], [on.said], js=SAID, **quiet)

    def ask(self, request: gr.Request) -> tuple[Any, Any]:
        """The question, with what there is."""
        with Told():
            held = self.own.held(owner_of(request))
            return question(held), gr.update(visible=bool(held.words))
        return gr.skip(), gr.skip()

    def delete(self, request: gr.Request) -> tuple[Any, Any]:
        """Deletes it, and says what."""
        with Told():
            owner = owner_of(request)
            self._end_answers(owner)
            return f"<p>{escape(self.own.forget(owner).sentence)}</p>", gr.update(visible=False)
        return "", gr.update(visible=False)

    def _end_answers(self, owner: str) -> None:
        """An answer that is kept after its chat has gone would be nobody's to find."""
        self.running.stop_of(owner)
        until = time.monotonic() + _ENDING_SECONDS
        while self.running.busy_with(owner) and time.monotonic() < until:
            time.sleep(0.1)
