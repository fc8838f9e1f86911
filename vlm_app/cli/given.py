"""The images that a question is about: files, and chosen pages of documents."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vlm_app.errors import BadInput
from vlm_app.settings import settings
from vlm_app.types import Delta, Part, Picture, Request, Role, Task, Turn


@dataclass(frozen=True)
class Given:
    """An image file, or a page: its title is 'Page 3', of several documents 'Page 3 of a.pdf'.

    `name` is what exports call it. A page is drawn each time it is asked for, so that a long
    document is never in memory as a whole.
    """

    name: str
    size: tuple[int, int]
    picture: Callable[[], Picture]
    title: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        return (f"{self.title}:", self.picture()) if self.title else (self.picture(),)


def add(ask: argparse.ArgumentParser) -> None:
    """Its arguments."""
    ask.add_argument("images", nargs="*", type=Path, metavar="IMAGE", help="an image file or a PDF")
    ask.add_argument(
        "--pages", default="", metavar="1-3,7", help="the pages of the PDF; all of them if not given"
    )


def given(paths: Sequence[Path], pages: str, task: Task) -> tuple[Given, ...]:
    """What the files hold. Raises BadInput with a sentence that names the file."""
    from vlm_app.media.documents import is_document

    documents = [path for path in paths if is_document(path)]
    if pages and not documents:
        raise BadInput("Pages are chosen of a PDF and none was given: leave '--pages' out or add one.")
    found = [
        each
        for path in paths
        for each in (_pages(path, pages, len(documents) > 1) if path in documents else [_image(path)])
    ]
    if documents and task is Task.CHAT and len(found) > settings().max_images:
        raise BadInput(
            f"A question is about at most {settings().max_images} images, found {len(found)} with the pages: "
            "choose some with '--pages', as in '--pages 1-3', or set VLM_APP_MAX_IMAGES."
        )
    return tuple(found)


def _image(path: Path) -> Given:
    from vlm_app.media import open_image

    picture = open_image(path)
    return Given(path.name, picture.size, lambda: picture)


def _pages(path: Path, pages: str, several: bool) -> Iterator[Given]:
    from vlm_app.media.documents import open_document
    from vlm_app.media.names import cleaned
    from vlm_app.media.page_numbers import page_numbers

    document = open_document(path)
    for number in page_numbers(pages, document.pages):
        title = f"Page {number} of {cleaned(path.name)}" if several else f"Page {number}"
        name = f"{path.stem}-page-{number}.png"
        yield Given(name, document.pixels(number), partial(document.picture, number), title)


def request_of(blank: Request, about: Sequence[Given]) -> Request:
    """`blank` with the images, for CHAT each page behind its title and the question after all."""
    parts: list[Part] = []
    for each in about:
        parts += each.parts if blank.task is Task.CHAT else [each.picture()]
    if blank.task is Task.CHAT:
        parts.append(blank.query)
    return replace(blank, turns=(Turn(Role.USER, tuple(parts)),))


def page_by_page(
    blank: Request, about: Sequence[Given], answered: Callable[[Request], Generator[Delta]]
) -> Generator[Delta]:
    """One answer about several pages, each asked by itself: what a task says of one image."""
    from vlm_app.workbench.growing import Growing
    from vlm_app.workbench.sheet import Page, Question

    pages = [Page(each.name, each.title or each.name, each.size) for each in about]
    growing = Growing(Question(blank.task, blank.query, blank.model), pages, len(pages), "")
    shown = 0
    for each in about:
        growing.begin()
        with closing(answered(request_of(blank, [each]))) as deltas:
            for delta in deltas:
                growing.add(delta)
                text = growing.step().answer.text
                yield Delta(text[shown:])
                shown = len(text)
    answer = growing.answer()
    yield Delta(answer=replace(answer, seen=replace(answer.seen, note=growing.note())))
