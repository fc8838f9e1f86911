"""Conversations as the rows of a chat: pure functions from what was said to HTML.

A row is (role, HTML). Nothing here knows Gradio or the network, and everything that a person
or a model wrote is escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from vlm_app.chat import Conversation, Message, split_thinking
from vlm_app.grounding import colours
from vlm_app.types import Answer, Checkpoint, Finish, Role, Runs, Seen, Task
from vlm_app.ui.overlay import Drawn, figure
from vlm_app.ui.prose import Phrase, prose

Row = tuple[str, str]

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
AS_WRITTEN = {
    Task.OCR,
    Task.OCR_REGIONS,
    Task.DETECT,
    Task.GROUND,
    Task.POINT,
    Task.COUNT,
    Task.SEGMENT,
}

PROMPT_SHOWN = 4000  # characters


class Thread:
    """Renders one conversation. `checkpoints` names the models; the first other one is offered
    where the chosen model says that it is likely wrong."""

    def __init__(self, conversation: Conversation, checkpoints: Mapping[str, Checkpoint]) -> None:
        self.messages = conversation.messages
        self.checkpoints = checkpoints
        media = [each for message in self.messages for each in message.media]
        sizes = [each.size for message in self.messages for each in message.turn.pictures]
        self.pictures = list(zip(media, sizes, strict=True))

    def rows(self) -> list[Row]:
        """All messages, when nothing is being written."""
        return [self._row(at) for at in range(len(self.messages))]

    def rows_with(self, answer: Answer | None, status: str = "") -> list[Row]:
        """All messages and the answer that is being written; before its first word, `status`."""
        body = self._body(answer, "live") if answer and (answer.text or answer.regions) else ""
        waiting = f'<p class="status" role="status">{escape(status)}</p>' if status else ""
        return [*self.rows(), ("assistant", f'<article class="turn answer live">{body}{waiting}</article>')]

    def _row(self, at: int) -> Row:
        message = self.messages[at]
        if message.turn.role is Role.USER:
            return "user", self._asked(message)
        return "assistant", self._answered(message, last=at == len(self.messages) - 1)

    # --- what a person said -----------------------------------------------------------

    def _asked(self, message: Message) -> str:
        task = message.task
        badge = "" if task is Task.CHAT else f'<span class="badge">{TASKS.get(task, task.value)}</span>'
        return (
            f'<article class="turn asked" data-message="{_attribute(message.id)}">{badge}'
            f'<div class="parts">{self._parts(message)}</div>'
            f'<div class="acts">{_act("edit", "Edit this message")}{_act("copy", "Copy")}</div></article>'
        )

    def _parts(self, message: Message) -> str:
        """Texts and thumbnails in the order in which they were given; neighbouring thumbnails in a row."""
        media, html, row = iter(message.media), "", ""
        for number, part in enumerate(message.turn.parts):
            if isinstance(part, str):
                html += _in_a_row(row) + f'<div class="said" data-part="{number}">{escape(part)}</div>'
                row = ""
            else:
                row += _thumbnail(next(media), part.size, part.note)
        return html + _in_a_row(row)

    # --- what a model answered --------------------------------------------------------

    def _answered(self, message: Message, *, last: bool) -> str:
        answer = message.answer or Answer(text=message.turn.text)
        return (
            f'<article class="turn answer" data-message="{_attribute(message.id)}">'
            f"{self._warning(answer, last)}{self._body(answer, message.id)}{self._ending(answer, last)}"
            f'<div class="foot"><div class="acts">{_acts(message, last)}</div>'
            f"{self._signature(answer)}</div></article>"
        )

    def _warning(self, answer: Answer, last: bool) -> str:
        if not answer.seen.note:
            return ""
        other = self._other_model(answer)
        button = (
            f'<button type="button" class="plain" data-act="switch" data-model="{_attribute(other.id)}">'
            f"Ask {escape(other.name)} instead</button>"
            if other and last
            else ""
        )
        return f'<div class="notice warning"><span>{escape(answer.seen.note)}</span>{button}</div>'

    def _other_model(self, answer: Answer) -> Checkpoint | None:
        """The first that anybody can ask at once: it runs here, chats, and no licence stands before it."""
        ready = (
            each
            for each in self.checkpoints.values()
            if each.runs is Runs.IN_PROCESS and each.chat and not each.gated and not each.remote_code
        )
        return next((each for each in ready if each.id != answer.model), None)

    def _body(self, answer: Answer, name: str) -> str:
        """Thinking (folded), text with coloured phrases, pictures with regions."""
        thinking, text = split_thinking(answer.text)
        coloured = zip(answer.regions, colours(answer.regions), strict=True)
        drawn = [
            Drawn(region, f"{name}-{number}", colour) for number, (region, colour) in enumerate(coloured)
        ]
        offset = len(answer.text) - len(text)
        said = prose(text, _phrases(drawn, offset), markdown=answer.task not in AS_WRITTEN)
        folded = f"<summary>Thinking</summary>{prose(thinking)}" if thinking else ""
        folded = folded and f'<details class="thinking">{folded}</details>'
        return f'{folded}<div class="prose-text">{said if text else ""}</div>{self._figures(drawn, name)}'

    def _figures(self, drawn: Sequence[Drawn], name: str) -> str:
        figures = []
        for at in sorted({each.region.image for each in drawn if each.region.image < len(self.pictures)}):
            media_id, size = self.pictures[at]
            mine = [each for each in drawn if each.region.image == at]
            saved_as = "" if name == "live" else f"/media/{media_id}/answer/{name}"
            figures.append(figure(media_id, size, mine, name=f"Image {at + 1}", saved_as=saved_as))
        return f'<div class="figures">{"".join(figures)}</div>' if figures else ""

    def _ending(self, answer: Answer, last: bool) -> str:
        """Why an answer is shorter than it could be."""
        more = '<button type="button" class="plain" data-act="continue">Continue</button>'
        button = more if last and answer.text else ""
        match answer.finish:
            case Finish.LENGTH:
                count = (
                    f"{answer.usage.completion_tokens} tokens" if answer.usage.completion_tokens else "tokens"
                )
                return f'<div class="notice"><span>Cut at the limit of {count}.</span>{button}</div>'
            case Finish.CANCELLED:
                return f'<div class="notice"><span>Stopped.</span>{button}</div>'
            case Finish.FAILED:
                sentence = answer.error or "The model could not finish this answer."
                return f'<div class="notice failed" role="alert"><span>{escape(sentence)}</span></div>'
        return ""

    def _signature(self, answer: Answer) -> str:
        """Who wrote it, unfolding to what the model saw."""
        checkpoint = self.checkpoints.get(answer.model)
        name = checkpoint.name if checkpoint else answer.model
        time = f" · {answer.timings.total:.1f} s" if answer.timings.total else ""
        facts = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in _facts(answer) if value)
        code = {"Prompt": _last(answer.prompt), "As written": answer.raw}
        written = "".join(
            f"<dt>{key}</dt><dd><code>{escape(text)}</code></dd>" for key, text in code.items() if text
        )
        return (
            f'<details class="saw" title="What the model saw"><summary>{escape(name)}{time} · '
            f"{_saw(answer.seen)}</summary><dl>{facts}{written}</dl></details>"
        )


def _attribute(text: str) -> str:
    return escape(text, quote=True)


def _act(act: str, title: str, extra: str = "") -> str:
    return (
        f'<button type="button" class="act" data-act="{act}" title="{title}" aria-label="{title}"{extra}>'
        f'<i class="ico {act}"></i></button>'
    )


def _acts(message: Message, last: bool) -> str:
    up, down = (f' aria-pressed="{"true" if message.vote == vote else "false"}"' for vote in (1, -1))
    again = _act("regenerate", "Regenerate") if last else ""
    return f"{_act('copy', 'Copy')}{_act('up', 'Good answer', up)}{_act('down', 'Bad answer', down)}{again}"


def _in_a_row(thumbnails: str) -> str:
    return f'<div class="thumbnails">{thumbnails}</div>' if thumbnails else ""


def _thumbnail(media_id: str, size: tuple[int, int], note: str) -> str:
    address = f"/media/{_attribute(media_id)}"
    said = f'<span class="note">{escape(note)}</span>' if note else ""
    return (
        f'<a class="thumbnail" href="{address}" target="_blank" title="{size[0]} × {size[1]} pixels">'
        f'<img src="{address}?side=320" alt="Image" style="aspect-ratio:{size[0]}/{size[1]}">{said}</a>'
    )


def _phrases(drawn: Sequence[Drawn], offset: int) -> list[Phrase]:
    """One phrase for each span; regions that share it are named together."""
    shared: dict[tuple[int, int], list[Drawn]] = {}
    for each in drawn:
        if each.region.span and each.region.span[0] >= offset:
            shared.setdefault(each.region.span, []).append(each)
    return [
        Phrase(start - offset, end - offset, tuple(each.key for each in group), group[0].colour)
        for (start, end), group in shared.items()
    ]


def _last(prompt: str) -> str:
    """The end of a prompt: a long chat's beginning would be there again with every answer."""
    return prompt if len(prompt) <= PROMPT_SHOWN else "…" + prompt[-PROMPT_SHOWN:]


def _saw(seen: Seen) -> str:
    """One line: 'saw 768 × 512 · 4 tiles · 256 visual tokens'."""
    if seen.size is None:
        return "what the model saw"
    tiles = f" · {seen.tiles} tiles" if seen.tiles > 1 else ""
    tokens = f"{seen.visual_tokens} visual token{'s' if seen.visual_tokens != 1 else ''}"
    return f"saw {seen.size[0]} × {seen.size[1]}{tiles} · {tokens}"


def _facts(answer: Answer) -> list[tuple[str, str]]:
    seen, usage, timings = answer.seen, answer.usage, answer.timings
    tokens = f"{usage.prompt_tokens} read, {usage.completion_tokens} written" if usage.prompt_tokens else ""
    times = (
        f"first word after {timings.first_token:.1f} s, all after {timings.total:.1f} s"
        if timings.total
        else ""
    )
    waited = f"; loading took {timings.load:.1f} s" if timings.load >= 0.1 else ""
    precision = " ".join(filter(None, (answer.model, answer.precision, answer.adapter)))
    return [
        ("Image", _image_facts(seen)),
        ("Coordinates", seen.convention),
        ("Tokens", tokens),
        ("Time", times + waited if times else ""),
        ("Model", precision),
    ]


def _image_facts(seen: Seen) -> str:
    if seen.size is None:
        return ""
    tiles = f"{seen.tiles} tile{'s' if seen.tiles != 1 else ''}"
    return f"{seen.size[0]} × {seen.size[1]} pixels, {tiles}, {seen.visual_tokens} visual tokens"
