"""Conversations as the rows of a chat: pure functions from what was said to HTML.

A row is (role, HTML). Nothing here knows Gradio or the network, and everything that a person
or a model wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from vlm_app.chat import Conversation, Message
from vlm_app.types import Answer, Checkpoint, Picture, Role, Task
from vlm_app.ui.addresses import under_root
from vlm_app.ui.beside import Choice, its_base, menu, others
from vlm_app.ui.pieces import Pieces, attribute
from vlm_app.ui.sides import act, acts, compared, growing, lesson, preferring, switcher, writers
from vlm_app.ui.taught import NOWHERE, Places

Row = tuple[str, str]
NOBODY: Mapping[str, str] = {}
UNANSWERED = (
    '<div class="notice"><span>No answer yet.</span>'
    '<button type="button" class="plain" data-act="regenerate">Ask again</button></div>'
)  # as when the app ended in the middle of an answer

TASKS: Mapping[Task, str] = {
    Task.CHAT: "Chat",
    Task.CAPTION: "Caption",
    Task.DETECT: "Detect",
    Task.GROUND: "Find",
    Task.POINT: "Point",
    Task.COUNT: "Count",
    Task.SEGMENT: "Segment",
    Task.OCR: "Read text",
    Task.OCR_REGIONS: "Read text with places",
    Task.DESCRIBE_REGION: "Describe a part",
}


class Thread:
    """Renders one conversation. `checkpoints` names the models; the first other one is offered
    where the chosen model says that it is likely wrong. `adapters` are names by id, `choices`
    those that the last message can be asked again, `places` where examples of answers are kept."""

    def __init__(
        self,
        conversation: Conversation,
        checkpoints: Mapping[str, Checkpoint],
        adapters: Mapping[str, str] = NOBODY,
        choices: Sequence[Choice] = (),
        places: Places = NOWHERE,
    ) -> None:
        self.messages = conversation.messages
        self.choices = choices
        self.places = places
        media = [each for message in self.messages for each in message.media]
        sizes = [each.size for message in self.messages for each in message.turn.pictures]
        self.pieces = Pieces(list(zip(media, sizes, strict=True)), checkpoints, adapters)

    def rows(self) -> list[Row]:
        """All messages, when nothing is being written."""
        return [self._row(at, still=True) for at in range(len(self.messages))]

    def rows_with(self, answer: Answer, status: str = "") -> list[Row]:
        """All messages and the answer that is being written; before its first word, `status`."""
        live = self._live(answer, status)
        before = [self._row(at) for at in range(len(self.messages))]
        return [*before, ("assistant", f'<article class="turn answer live">{live}</article>')]

    def rows_beside(self, answer: Answer, status: str = "") -> list[Row]:
        """All messages, the last with the answer that is being written beside it."""
        *before, _ = self.rows()
        live = self._live(answer, status)
        return [*before, ("assistant", growing(self.pieces, self.messages[-1], answer, live))]

    def _live(self, answer: Answer, status: str) -> str:
        body = self.pieces.body(answer, "live") if answer.text or answer.regions else ""
        waiting = f'<p class="status" role="status">{escape(status)}</p>' if status else ""
        return body + waiting

    def _row(self, at: int, still: bool = False) -> Row:
        message, last = self.messages[at], at == len(self.messages) - 1
        if message.turn.role is Role.USER:
            return "user", self._asked(message, UNANSWERED if last and still else "")
        if last and len(writers(message)) > 1:
            return "assistant", compared(self.pieces, message, self._again(message.answer), self.places)
        return "assistant", self._answered(message, last=last)

    # --- what a person said -----------------------------------------------------------

    def _asked(self, message: Message, below: str) -> str:
        task = message.task
        badge = "" if task is Task.CHAT else f'<span class="badge">{TASKS.get(task, task.value)}</span>'
        return (
            f'<article class="turn asked" data-message="{attribute(message.id)}">{badge}'
            f'<div class="parts">{self._parts(message)}</div>'
            f'<div class="acts">{act("edit", "Edit this message")}{act("copy", "Copy")}</div>'
            f"{below}</article>"
        )

    def _parts(self, message: Message) -> str:
        """Texts and thumbnails in the order in which they were given; neighbouring thumbnails in a row."""
        media, html, row = iter(message.media), "", ""
        for number, part in enumerate(message.turn.parts):
            if isinstance(part, str):
                html += _in_a_row(row) + f'<div class="said" data-part="{number}">{escape(part)}</div>'
                row = ""
            elif isinstance(part, Picture):
                row += _thumbnail(next(media), part.size, part.note)
        return html + _in_a_row(row)

    # --- what a model answered --------------------------------------------------------

    def _answered(self, message: Message, *, last: bool) -> str:
        pieces, answer = self.pieces, message.answer or Answer(text=message.turn.text)
        switch = switcher(message, range(len(message.given)))
        again = its_base(answer) + self._again(answer) if last else ""
        return (
            f'<article class="turn answer" data-message="{attribute(message.id)}">'
            f"{pieces.warning(answer, last)}{pieces.body(answer, message.id)}{pieces.ending(answer, last)}"
            f'<div class="foot"><div class="acts">{switch}{acts(message, last)}'
            f"{preferring(message)}{again}</div>{pieces.signature(answer)}</div>"
            f"{lesson(message, self.places)}</article>"
        )

    def _again(self, answer: Answer | None) -> str:
        """Who else the last message can be asked."""
        return menu(others(self.choices, answer or Answer("")))


def _in_a_row(thumbnails: str) -> str:
    return f'<div class="thumbnails">{thumbnails}</div>' if thumbnails else ""


def _thumbnail(media_id: str, size: tuple[int, int], note: str) -> str:
    address = under_root(f"/media/{attribute(media_id)}")
    said = f'<span class="note">{escape(note)}</span>' if note else ""
    return (
        f'<a class="thumbnail" href="{address}" target="_blank" title="{size[0]} × {size[1]} pixels">'
        f'<img src="{address}?side=320" alt="Image" style="aspect-ratio:{size[0]}/{size[1]}">{said}</a>'
    )
