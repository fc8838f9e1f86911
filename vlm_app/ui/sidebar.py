"""The list of saved chats: one line each, by day, with renaming and deleting in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

import gradio as gr

from vlm_app.chat import Summary
from vlm_app.ui.own_data import OwnDataPart
from vlm_app.ui.steady import steady

DELETE_ROW = (
    '<span class="confirm">Delete it?'
    '<button type="button" class="plain danger" data-act="delete">Delete</button>'
    '<button type="button" class="plain" data-act="keep">Keep</button></span>'
)


@dataclass(frozen=True)
class ChatList:
    """The components of the sidebar."""

    new: gr.Button
    search: gr.Textbox
    chats: gr.HTML
    load: gr.UploadButton
    own: OwnDataPart
    who: gr.HTML  # who signed in; empty where nobody has to

    @classmethod
    def build(cls) -> ChatList:
        """Draws the sidebar where it is called."""
        with gr.Sidebar(width=272, elem_id="chats"):
            gr.HTML('<p class="wordmark"><i></i>vlm-app</p>', js_on_load=None)
            return cls(
                new=gr.Button("New chat", elem_id="new-chat", variant="secondary", size="md"),
                search=gr.Textbox(
                    placeholder="Search chats",
                    show_label=False,
                    container=False,
                    elem_id="search",
                    max_lines=1,
                ),
                chats=steady(elem_id="chat-list"),
                load=gr.UploadButton(
                    "Import a chat", file_types=[".json"], size="sm", elem_id="import", type="filepath"
                ),
                own=OwnDataPart.build(),
                who=steady(elem_id="who"),
            )


def chat_list(chats: Sequence[Summary], current: str, search: str, now: datetime) -> str:
    """HTML of the list. `now` has a time zone and decides what is today."""
    if not chats:
        nothing = "No chat holds these words." if search.strip() else "Your chats will stand here."
        return f'<p class="nothing">{nothing}</p>'
    html, day = [], ""
    for chat in chats:
        if (its_day := _day(chat.updated, now)) != day:
            html.append(f"<h3>{its_day}</h3>")
            day = its_day
        html.append(_line(chat, chat.id == current))
    return f'<nav aria-label="Saved chats">{"".join(html)}</nav>'


def _day(time: datetime, now: datetime) -> str:
    days = now.date() - time.astimezone(now.tzinfo).date()
    if days < timedelta(days=1):
        return "Today"
    if days < timedelta(days=2):
        return "Yesterday"
    return "Last 7 days" if days < timedelta(days=7) else "Earlier"


def _line(chat: Summary, current: bool) -> str:
    id, title = escape(chat.id, quote=True), escape(chat.title)
    here = ' aria-current="page"' if current else ""
    return (
        f'<div class="chat" data-chat="{id}">'
        f'<a href="?chat={id}" data-act="open" title="{title}"{here}>{title}</a>'
        '<span class="acts">'
        '<button type="button" class="act" data-act="rename" title="Rename" aria-label="Rename">'
        '<i class="ico edit"></i></button>'
        '<button type="button" class="act" data-act="ask-delete" title="Delete" aria-label="Delete">'
        f'<i class="ico delete"></i></button></span>{DELETE_ROW}</div>'
    )
