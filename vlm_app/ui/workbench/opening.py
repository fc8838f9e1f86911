"""What comes to the workbench from elsewhere: an answer of a chat, regions of a file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from vlm_app.chat import Chats, Message
from vlm_app.errors import BadInput, NotFound
from vlm_app.grounding.formats import imported
from vlm_app.grounding.formats.result import unique
from vlm_app.settings import settings
from vlm_app.types import Answer, Region, Task
from vlm_app.workbench.answering import name_of
from vlm_app.workbench.bench import Bench
from vlm_app.workbench.sheet import Finding, Mark, Question, Sheet

NOT_OURS = "This answer is not shown any more: open its chat and follow its own link."


def from_chat(
    bench: Bench, chats: Chats, owner: str, chat: str, message_id: str, given: int | None = None
) -> Finding:
    """An answer of a chat, opened with the pictures that it draws on; one that draws on none, with
    those it is about, so that regions can be drawn. Raises NotFound, and BadInput without a picture."""
    messages = chats.open(owner, chat).messages
    at = next((number for number, each in enumerate(messages) if each.id == message_id), None)
    answer = _answer(messages[at], given) if at is not None else None
    if at is None or answer is None:
        raise NotFound(NOT_OURS)
    pictures = [picture for each in messages[: at + 1] for picture in each.turn.pictures]
    used = sorted({each.image for each in answer.regions if each.image < len(pictures)})
    used = used or _about(messages[:at])
    if not used:
        raise BadInput("This answer is about no picture: there is nothing to open.")
    kept = [replace(each, image=used.index(each.image)) for each in answer.regions if each.image in used]
    asked = messages[at - 1] if at else messages[at]
    question = Question(
        answer.task, asked.turn.text, answer.model, answer.precision or "auto", answer.adapter
    )
    named = [(pictures[number], f"Image {number + 1}") for number in used]
    return bench.take(owner, named, replace(answer, regions=tuple(kept)), question)


def _about(messages: Sequence[Message]) -> list[int]:
    """Which of the pictures of a chat came with the last message that brought any."""
    counts = [len(each.media) for each in messages if each.media]
    return list(range(sum(counts[:-1]), sum(counts)))


def _answer(message: Message, given: int | None) -> Answer | None:
    if given is not None and 0 <= given < len(message.given):
        return message.given[given].answer
    return message.answer


def from_file(bench: Bench, owner: str, sheet_id: str, path: Path) -> tuple[Finding, list[str]]:
    """Regions of a COCO, Label Studio or JSON file on the pages that they name, and the names of pictures
    whose regions were left out, as they are no pages here.

    Raises BadInput where the file cannot be read, or is about other pictures.
    """
    if path.stat().st_size > settings().max_bytes:
        raise BadInput(f"A file of regions has at most {settings().max_bytes / 1e6:.0f} MB: split it.")
    data = path.read_bytes()
    result = imported(data, kind_of(data, path.name))
    sheet = bench.sheet(owner, sheet_id)
    places = _places([each.name for each in result.images], sheet)
    pages = tuple(dict.fromkeys(places.values()))
    regions = [
        replace(each, image=pages.index(places[each.image]), span=None)
        for each in result.regions
        if each.image in places
    ]
    if not regions:
        raise BadInput(f"'{path.name}' holds no region for the pages that are open: open its pictures first.")
    names = [each.name for each in result.images]
    lost = sorted({each.image for each in result.regions} - places.keys())
    return _kept(bench, owner, sheet_id, pages, regions), [names[image] for image in lost]


def let_go(upload: Path) -> None:
    """The copy that Gradio made of a large file goes at once, a small one with all others after a day.

    Gradio names uploads by what they hold: the same image, attached to a message that is not sent
    yet or opened by somebody else just now, is the same file.
    """
    with suppress(FileNotFoundError):
        if upload.stat().st_size > settings().max_bytes:
            upload.unlink()


def kind_of(data: bytes, name: str) -> str:
    """The format of a file of regions: 'json', 'coco' or 'label-studio'."""
    if data[:2] == b"PK":
        return "label-studio"
    begin = data[:4000]
    if b'"annotations"' in data and b'"categories"' in data:
        return "coco"
    return "label-studio" if begin.lstrip()[:1] == b"[" else "json"


def _places(names: list[str], sheet: Sheet) -> dict[int, str]:
    """Which page each picture of a file is: by the name that an export gives it, else by what stands before
    its ending; where no name is known, by their order."""
    named = [(name.casefold(), page.key) for name, page in zip(_names(sheet), sheet.pages, strict=True)]
    whole = dict(named)
    stems = Counter(Path(name).stem for name, _ in named)
    alone = {Path(name).stem: key for name, key in named if stems[Path(name).stem] == 1}
    asked = [Path(name.casefold()) for name in names]
    found = {at: whole.get(each.name) or alone.get(each.stem) for at, each in enumerate(asked)}
    if not any(found.values()) and len(names) == len(sheet.pages):
        return {at: page.key for at, page in enumerate(sheet.pages)}
    return {at: key for at, key in found.items() if key}


def _names(sheet: Sheet) -> list[str]:
    """What the pages of a sheet are called in files that are exported."""
    return unique(name_of(sheet, page) for page in sheet.pages)


def _kept(bench: Bench, owner: str, sheet_id: str, pages: tuple[str, ...], regions: list[Region]) -> Finding:
    marks = [Mark(f"new-{number}", region) for number, region in enumerate(regions)]
    with begun(bench, owner, sheet_id, pages) as finding:
        return bench.edit(owner, finding.id, marks=marks)


@contextmanager
def begun(bench: Bench, owner: str, sheet_id: str, pages: Sequence[str]) -> Iterator[Finding]:
    """A finding of the person's own, to be filled; where that fails no empty one is left behind."""
    finding = bench.begin(owner, sheet_id, pages, Question(Task.DETECT))
    try:
        yield finding
    except BaseException:
        bench.forget(owner, finding.id)
        raise
