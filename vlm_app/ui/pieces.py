"""An answer as HTML: its text with coloured phrases, its pictures, how it ended, who wrote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from vlm_app.chat import split_thinking
from vlm_app.grounding import colours
from vlm_app.types import Answer, Checkpoint, Finish, Runs, Seen, Task
from vlm_app.ui.addresses import under_root
from vlm_app.ui.overlay import Drawn, figure
from vlm_app.ui.prose import Phrase, prose

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


class Pieces:
    """The pieces of the answers of one conversation.

    `pictures` are its images in order: media id and (width, height). `checkpoints` and
    `adapters` name those who wrote.
    """

    def __init__(
        self,
        pictures: Sequence[tuple[str, tuple[int, int]]],
        checkpoints: Mapping[str, Checkpoint],
        adapters: Mapping[str, str],
    ) -> None:
        self.pictures = pictures
        self.checkpoints = checkpoints
        self.adapters = adapters

    def warning(self, answer: Answer, last: bool) -> str:
        """What makes the answer doubtful; a note of a server's answer is a fact like others."""
        if not answer.seen.note or self._is_remote(answer):
            return ""
        other = self._other_model(answer)
        button = (
            f'<button type="button" class="plain" data-act="switch" data-model="{attribute(other.id)}">'
            f"Ask {escape(other.name)} instead</button>"
            if other and last
            else ""
        )
        return f'<div class="notice warning"><span>{escape(answer.seen.note)}</span>{button}</div>'

    def _is_remote(self, answer: Answer) -> bool:
        """A server doesn't say in how many tokens it saw an image, and may be removed by now."""
        row, seen = self.checkpoints.get(answer.model), answer.seen
        return bool(row and row.server) or (seen.size is not None and not seen.visual_tokens)

    def _other_model(self, answer: Answer) -> Checkpoint | None:
        """The first that anybody can ask at once: it runs here, chats, and no licence stands before it."""
        ready = (
            each
            for each in self.checkpoints.values()
            if each.runs is Runs.IN_PROCESS and each.chat and not each.gated and not each.remote_code
        )
        return next((each for each in ready if each.id != answer.model), None)

    def body(self, answer: Answer, name: str, at: int | None = None) -> str:
        """Thinking (folded), text with coloured phrases, pictures with regions.

        `name` is the message's id, and `at` which of its answers it is, where it is not the one
        that is shown.
        """
        thinking, text = split_thinking(answer.text)
        coloured = zip(answer.regions, colours(answer.regions), strict=True)
        key = name if at is None else f"{name}.{at}"
        drawn = [Drawn(region, f"{key}-{number}", colour) for number, (region, colour) in enumerate(coloured)]
        offset = len(answer.text) - len(text)
        said = prose(text, _phrases(drawn, offset), markdown=answer.task not in AS_WRITTEN)
        folded = f"<summary>Thinking</summary>{prose(thinking)}" if thinking else ""
        folded = folded and f'<details class="thinking">{folded}</details>'
        return f'{folded}<div class="prose-text">{said if text else ""}</div>{self._figures(drawn, name, at)}'

    def _figures(self, drawn: Sequence[Drawn], name: str, at: int | None) -> str:
        which = "" if at is None else f"?given={at}"
        figures = []
        for image in sorted({each.region.image for each in drawn if each.region.image < len(self.pictures)}):
            media_id, size = self.pictures[image]
            mine = [each for each in drawn if each.region.image == image]
            saved_as = "" if name == "live" else under_root(f"/media/{media_id}/answer/{name}{which}")
            opens = "" if name == "live" else _opens(name, at)
            caption = f"Image {image + 1}"
            figures.append(figure(media_id, size, mine, name=caption, saved_as=saved_as, opens=opens))
        return f'<div class="figures">{"".join(figures)}</div>' if figures else ""

    def ending(self, answer: Answer, last: bool) -> str:
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

    def signature(self, answer: Answer, *, named: bool = False) -> str:
        """Who wrote it, unless that is `named` above already, unfolding to what the model saw."""
        time = [f"{answer.timings.total:.1f} s"] if answer.timings.total else []
        line = " · ".join([*([] if named else self._written_by(answer)), *time, _saw(answer.seen)])
        told = [*_facts(answer), ("Note", answer.seen.note if self._is_remote(answer) else "")]
        facts = "".join(f"<dt>{key}</dt><dd>{escape(value)}</dd>" for key, value in told if value)
        code = {"Prompt": _last(answer.prompt), "As written": answer.raw}
        written = "".join(
            f"<dt>{key}</dt><dd><code>{escape(text)}</code></dd>" for key, text in code.items() if text
        )
        return (
            f'<details class="saw" title="What the model saw"><summary>{escape(line)}</summary>'
            f"<dl>{facts}{written}</dl></details>"
        )

    def writer_line(self, answer: Answer) -> str:
        name, *facts = self._written_by(answer)
        return f"{escape(name)} <small>{escape(' · '.join(facts))}</small>"

    def _written_by(self, answer: Answer) -> list[str]:
        """Name, precision and adapter."""
        checkpoint = self.checkpoints.get(answer.model)
        adapter = self.adapters.get(answer.adapter, answer.adapter) if answer.adapter else ""
        facts = (checkpoint.name if checkpoint else answer.model, answer.precision, adapter)
        return [facts[0], *filter(None, facts[1:])]


def _opens(name: str, at: int | None) -> str:
    """What a button carries that opens an answer on the workbench."""
    given = "" if at is None else f' data-given="{at}"'
    return f'data-bench="chat" data-message="{attribute(name)}"{given}'


def attribute(text: str) -> str:
    return escape(text, quote=True)


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
    return f"saw {seen.size[0]} × {seen.size[1]}{tiles}" + _tokens(seen, " · ")


def _tokens(seen: Seen, before: str) -> str:
    """Empty where nobody knows: a server doesn't say."""
    count = seen.visual_tokens
    return f"{before}{count} visual token{'s' if count != 1 else ''}" if count else ""


def _facts(answer: Answer) -> list[tuple[str, str]]:
    seen, usage, timings = answer.seen, answer.usage, answer.timings
    known = f" ({usage.cached_tokens} reused)" if usage.cached_tokens else ""
    read = f"{usage.prompt_tokens} read{known}, {usage.completion_tokens} written"
    tokens = read if usage.prompt_tokens else ""
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
    return f"{seen.size[0]} × {seen.size[1]} pixels, {tiles}" + _tokens(seen, ", ")
