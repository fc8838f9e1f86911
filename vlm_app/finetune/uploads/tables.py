"""A file of rows, recognised: what format it is in, and its rows as drafts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vlm_app.finetune.uploads import chats, columns
from vlm_app.finetune.uploads.coco import Coco
from vlm_app.finetune.uploads.fields import Record
from vlm_app.finetune.uploads.records import Kind, kind_of, read_all, records
from vlm_app.finetune.uploads.rows import BadRow, Draft
from vlm_app.finetune.uploads.spool import Spool

_LOOKED_AT = 100  # rows at the start of a file, of which one must be known
_WRITTEN = {
    Kind.LINES: " as JSONL",
    Kind.LIST: " as JSON",
    Kind.TABLE: " as CSV",
    Kind.PARQUET: " in parquet",
}

TAKEN = (
    "OpenAI messages (JSONL), LLaVA or ShareGPT conversations (JSON), Roboflow's image, prefix and suffix "
    "(JSONL), COCO detection (JSON), a Hugging Face folder (metadata.csv, metadata.jsonl or parquet), "
    "a table of image, task, query and answer (CSV), and this app's own examples"
)


@dataclass(frozen=True, slots=True)
class Form:
    """What the rows of a file are: `known` says whether a row is one, `drafts` makes examples of it."""

    title: str
    known: Callable[[Record], bool]
    drafts: Callable[[Record], Iterable[Draft]]
    boxed: Callable[[Record], bool] = lambda _: False


FORMS = (
    Form("examples of this app", lambda row: {"version", "pictures", "task"} <= row.keys(), columns.own),
    Form(
        "OpenAI messages", lambda row: "messages" in row, chats.messages, boxed=lambda row: "objects" in row
    ),
    Form("LLaVA or ShareGPT conversations", lambda row: "conversations" in row, chats.conversations),
    Form("conversations of The Cauldron", lambda row: "texts" in row and "images" in row, chats.exchanges),
    Form(
        "Roboflow's image, prefix and suffix",
        lambda row: {"prefix", "suffix"} <= row.keys(),
        columns.roboflow,
    ),
    Form(
        "pictures with their texts or objects",
        columns.is_plain,
        columns.plain,
        boxed=lambda row: "objects" in row,
    ),
)
_BOXES = "a table of boxes"


class Table(Protocol):
    """A file of rows. `drafts` can be asked for again, and gives the reason where a row is bad.

    `boxed` says whether its units are to be found out, `pixels` whether its format has pixels.
    """

    @property
    def title(self) -> str: ...
    @property
    def boxed(self) -> bool: ...
    @property
    def pixels(self) -> bool: ...
    def drafts(self) -> Iterator[tuple[int, Draft | str]]: ...


def table_of(path: Path, room: Path, close: ExitStack) -> Table | str:
    """The file as a table, or why it is none. What it needs on disk lies in `room` until `close` ends."""
    kind = kind_of(path)
    if kind is None:
        return "it is neither JSON nor a table"
    if kind is Kind.COCO:
        return Coco(path, _spool(room, close))
    start = read_all(records(path, kind), _LOOKED_AT)
    rows = [row for _, row in start if isinstance(row, dict)]
    for row in rows:
        if columns.is_boxed(row):
            return Boxes(path, kind, _spool(room, close))
        for form in FORMS:
            if form.known(row):
                return Rows(path, kind, form, form.boxed(row))
    reasons = [f"row {number:,}: {row}" for number, row in start if isinstance(row, str)]
    if rows:
        return f"its rows have {_keys(rows[0])}, which is none of the formats"
    return reasons[0] if reasons else "it has no rows"


def _spool(room: Path, close: ExitStack) -> Spool:
    number = len(list(room.glob("*.spool")))
    return close.enter_context(closing(Spool(room / f"{number}.spool")))


def _keys(row: Record) -> str:
    keys = ", ".join(f"'{key[:30]}'" for key in list(row)[:6])
    return keys + (" and more" if len(row) > 6 else "") or "nothing"


class Rows:
    """A file whose every row is an example of its own."""

    pixels = False

    def __init__(self, path: Path, kind: Kind, form: Form, boxed: bool) -> None:
        self._path, self._kind, self._form = path, kind, form
        self.boxed = boxed
        self.title = form.title + _WRITTEN[kind]

    def drafts(self) -> Iterator[tuple[int, Draft | str]]:
        with closing(records(self._path, self._kind)) as rows:  # type: ignore[type-var]
            for number, row in rows:
                if isinstance(row, str):
                    yield number, row
                else:
                    yield from ((number, draft) for draft in self._of(row))

    def _of(self, row: Record) -> Sequence[Draft | str]:
        if not self._form.known(row):
            return [f"it is none of {self._form.title}, as the first rows are"]
        try:
            return list(self._form.drafts(row))
        except BadRow as error:
            return [str(error)]


class Boxes:
    """A file with one box a row: the rows of one picture and question are one example."""

    boxed = True
    pixels = False

    def __init__(self, path: Path, kind: Kind, spool: Spool) -> None:
        self.title = _BOXES + _WRITTEN[kind]
        self._spool = spool
        self._bad: list[tuple[int, str]] = []
        with closing(records(path, kind)) as rows:  # type: ignore[type-var]
            for number, row in rows:
                if isinstance(row, str):
                    self._bad.append((number, row))
                else:
                    spool.add(number, columns.group_of(row), row)
        spool.close_writing()

    def drafts(self) -> Iterator[tuple[int, Draft | str]]:
        yield from self._bad
        for group in self._spool.groups():
            yield group[0][0], _group(group)


def _group(group: Sequence[tuple[int, Record]]) -> Draft | str:
    """One example; a box that is missing would teach something wrong, so one bad row takes all with it."""
    for _, row in group:
        try:
            columns.boxed([row])
        except BadRow as error:
            return str(error)
    return columns.boxed([row for _, row in group])
