"""From the message box to a message: files opened, text and pictures in their order."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_app import limits
from vlm_app.errors import BadInput
from vlm_app.limits import Limits
from vlm_app.media import open_image
from vlm_app.media.documents import Document, is_document, open_document
from vlm_app.media.names import cleaned
from vlm_app.types import Clip, Picture, StillPart, Task, Turn

PLACE = re.compile(r"\[image (\d+)\]", re.IGNORECASE)


@dataclass(frozen=True)
class Attached:
    """A picture of a message. A document's page has a title, which stands before it."""

    picture: Picture
    title: str = ""

    @property
    def parts(self) -> tuple[StillPart, ...]:
        return (self.title, self.picture) if self.title else (self.picture,)


def opened(files: Sequence[str], owner: str | None = None) -> tuple[Attached, ...]:
    """The pictures of files that an owner uploaded; of a PDF its pages. Without an owner they are ours.

    Raises BadInput with a sentence that names the file. Pages are counted before one is drawn.
    """
    allowed = limits.of(owner)
    most = allowed.images
    if len(files) > most:
        raise BadInput(f"A message holds at most {most} images, found {len(files)}: leave some out.")
    paths = [Path(file) for file in files]
    documents = {path: open_document(path, limits=allowed) for path in paths if is_document(path)}
    _check_pages(list(documents.values()), len(paths) - len(documents), most)
    return tuple(each for path in paths for each in _pictures(path, documents.get(path), allowed))


def images_in(files: Sequence[str]) -> int:
    """How many images a message with these files would hold; one that cannot be opened counts as one."""
    return sum(_pages(Path(file)) for file in files)


def _pages(path: Path) -> int:
    if not is_document(path):
        return 1
    try:
        with open_document(path) as document:
            return document.pages
    except BadInput:  # said when the message is sent
        return 1


def check_task(attached: Sequence[Attached], task: Task, named: str, each_by_itself: bool, text: str) -> None:
    """Several pages are asked about together, or left to the workbench: never the last one alone.

    `named` is the task as the page calls it, `each_by_itself` whether the model does it for each image.
    """
    pages = sum(bool(each.title) for each in attached)
    if pages < 2:
        return
    if task is Task.CHAT and not text.strip():
        raise BadInput(
            f"There are {pages} pages and no question: write what you want to know of them, then send again."
        )
    if task is not Task.CHAT and not each_by_itself:
        raise BadInput(
            f"'{named}' is about one image and there are {pages} pages: open the PDF in the tab Workbench, "
            "where it is done page by page, or choose 'Chat' and ask about all of them."
        )


def _pictures(path: Path, document: Document | None, allowed: Limits) -> Iterator[Attached]:
    if document is None:
        yield Attached(open_image(path, name=path.name, limits=allowed))
        return
    with document:
        for number in range(1, document.pages + 1):
            yield Attached(document.picture(number), f"Page {number} of {cleaned(document.name)}:")


def _check_pages(documents: Sequence[Document], images: int, most: int) -> None:
    """Refuse more pages than a message takes, and say where pages are chosen."""
    choose = "open it in the tab Workbench and choose the pages to ask about there"
    for document in documents:
        if document.pages > most:
            raise BadInput(
                f"“{cleaned(document.name)}” has {document.pages} pages, more than the {most} images "
                f"that a message holds: {choose}."
            )
    pages = sum(document.pages for document in documents)
    if pages + images > most:
        raise BadInput(
            f"A message holds at most {most} images, found {pages + images} with the pages of the PDF: "
            f"leave some files out, or {choose}."
        )


def ordered(text: str, attached: Sequence[Attached]) -> tuple[StillPart, ...]:
    """Pictures first, then the text; `[image 2]` in the text places the second picture there."""
    placed: set[int] = set()
    parts: list[StillPart] = []
    at = 0
    for found in PLACE.finditer(text):
        number = int(found[1]) - 1
        if number not in placed and 0 <= number < len(attached):
            parts += [text[at : found.start()].strip(), *attached[number].parts]
            placed.add(number)
            at = found.end()
    parts.append(text[at:].strip())
    first = [part for number, each in enumerate(attached) if number not in placed for part in each.parts]
    return (*first, *(part for part in parts if part))


def edited(turn: Turn, texts: Sequence[Sequence[str]]) -> tuple[StillPart, ...]:
    """A turn with new texts: pairs of the part's number (empty: added at the end) and its text."""
    changed = {int(number): text for number, text in texts if number.isdigit()}
    added = [text for number, text in texts if not number]
    kept = [
        changed.get(number, part) if isinstance(part, str) else part
        for number, part in enumerate(turn.parts)
        if not isinstance(part, Clip)
    ]
    return (*kept, *added)


def message_of(value: Mapping[str, Any] | None) -> tuple[str, list[str]]:
    """Text and file paths of the message box."""
    value = value or {}
    return str(value.get("text") or ""), list(value.get("files") or [])
