"""One entry for all datasets: what it is, is found out by what it holds."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from vlm_app.errors import BadInput
from vlm_app.finetune.uploads.archive import is_zip, unpack
from vlm_app.finetune.uploads.building import built, corners_of
from vlm_app.finetune.uploads.detections import questions
from vlm_app.finetune.uploads.folder import Folder, split_of
from vlm_app.finetune.uploads.opening import Opener
from vlm_app.finetune.uploads.rows import BadRow, Problem, Row, printable
from vlm_app.finetune.uploads.spaces import Sizing, Space
from vlm_app.finetune.uploads.tables import TAKEN, Table, table_of
from vlm_app.finetune.uploads.workroom import workroom
from vlm_app.limits import Limits
from vlm_app.media.names import subject, why_unread

_OPENED = 50  # pictures of a file that are opened to tell pixels from thousandths
_MOST_CATEGORIES = 10_000


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a file before its rows are taken."""

    space: Space
    note: str
    categories: tuple[str, ...] = ()


class Reading(Iterator[Row | Problem]):
    """The rows of a dataset, read as they are asked for, and the problems of those that are none.

    `notes` say in which format each file is and how its boxes are read: all of them are there once
    the last row has come. To be closed (it is a context manager), which removes what was unpacked;
    the last row and any exception close it, too.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        space: Space | None,
        stopped: Callable[[], bool],
        allowed: Limits | None = None,
    ) -> None:
        self._close = ExitStack()
        self._name, self._space, self._stopped = name or path.name, space, stopped
        self._allowed = allowed
        self.notes: list[str] = []
        self._rows = self._read(path)

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __next__(self) -> Row | Problem:
        return next(self._rows)

    def close(self) -> None:
        """Stops reading, and removes what was unpacked."""
        self._rows.close()
        self._close.close()

    def _read(self, path: Path) -> Generator[Row | Problem, None, None]:
        with self._close:
            room = self._close.enter_context(workroom())
            folder, problems = self._folder(path, room / "unpacked")
            yield from problems
            (room / "spools").mkdir()
            opener, taken, others = Opener(folder, self._allowed), 0, list[tuple[str, str]]()
            for file in folder.tables():
                if self._stopped():
                    return
                table = self._table(file, room / "spools")
                if isinstance(table, str):
                    others.append((folder.name_of(file), table))
                    continue
                taken += 1
                yield from self._rows_of(table, file, folder, opener)
            if not taken:
                raise BadInput(self._refusal(others))
            for name, reason in others:
                yield Problem(name, 0, f"it is left out, since {reason}", left_out=False)

    def _folder(self, path: Path, into: Path) -> tuple[Folder, Iterator[Problem]]:
        """The dataset as a folder, and what was left out of it. Raises `BadInput`."""
        try:
            if path.is_dir():
                return Folder(path), iter(())
            if not path.is_file():
                found = "found a device" if path.exists() else "found none of that name"
                raise BadInput(f"{subject(self._name, 'dataset')} is a file, a zip or a folder, {found}.")
            with path.open("rb") as file:
                head = file.read(4)
        except OSError as error:
            raise BadInput(f"{subject(self._name, 'dataset')} {why_unread(error, 'a dataset')}") from error
        if not head:
            raise BadInput(f"{subject(self._name, 'dataset')} is empty (0 bytes): choose a dataset.")
        if not is_zip(head):
            return Folder(path.parent, alone=path), iter(())
        into.mkdir()
        problems = list(unpack(path, self._name, into, self._stopped))
        return Folder(into), iter(problems)

    def _table(self, file: Path, room: Path) -> Table | str:
        try:
            return table_of(file, room, self._close)
        except OSError as error:
            return f"it cannot be read ({error.strerror})"

    def _refusal(self, others: list[tuple[str, str]]) -> str:
        named = subject(self._name, "dataset")
        if not others:
            return f"{named} has no file of rows; what is taken: {TAKEN}."
        first = "" if len(others) == 1 else f"{others[0][0]}: "
        return f"{named} is of no known format ({printable(first + others[0][1])}); what is taken: {TAKEN}."

    # --- one file -------------------------------------------------------------------------

    def _rows_of(self, table: Table, file: Path, folder: Folder, opener: Opener) -> Iterator[Row | Problem]:
        name = self._name if folder.alone else folder.name_of(file)
        split = split_of(name)
        known = self._known(table, file, opener)
        self.notes.append(f"{name}: {table.title}.{known.note}")
        drafts = 0
        for number, draft in table.drafts():
            if self._stopped():
                return
            if isinstance(draft, str):
                yield Problem(name, number, draft)
                continue
            drafts += 1
            try:
                for one in questions(draft, known.categories, drafts):
                    yield Row(built(one, known.space, opener, file), name, number, split)
            except BadRow as error:
                yield Problem(name, number, str(error))

    def _known(self, table: Table, file: Path, opener: Opener) -> _Known:
        """Units and categories, for which all rows are looked at, and some of their pictures."""
        if not table.boxed:
            return _Known(self._space or Space.FRACTIONS, "")
        sizing, labels = Sizing(), dict[str, None]()
        opened = 0
        for _, draft in table.drafts():
            if self._stopped() or isinstance(draft, str):
                continue
            if len(labels) < _MOST_CATEGORIES and not draft.query:
                labels.update(dict.fromkeys(mark.label for mark in draft.marks))
            if boxes := corners_of(draft):
                size = draft.size
                if size is None and self._space is None and opened < _OPENED and len(draft.pictures) == 1:
                    opened, size = opened + 1, _size(opener, draft.pictures[0], file)
                sizing.add(boxes, size)
        return _Known(*self._told(sizing, table.pixels), tuple(sorted(labels)))

    def _told(self, sizing: Sizing, pixels: bool) -> tuple[Space, str]:
        told = sizing.told()
        if told is None:
            return self._space or Space.FRACTIONS, ""
        if self._space is not None:
            return self._space, f" Its boxes are read as {self._space}, as you said."
        if pixels and told.space is not Space.FRACTIONS:
            return Space.PIXELS, f" Its boxes are read as {Space.PIXELS}, as the format has them."
        return told.space, f" Its boxes are read as {told.space}: {told.why}."


def _size(opener: Opener, name: str, file: Path) -> tuple[int, int] | None:
    try:
        return opener.open(name, file).size
    except BadRow:
        return None  # its row is told later


def read_dataset(
    path: Path,
    name: str = "",
    *,
    space: Space | None = None,
    stopped: Callable[[], bool] = lambda: False,
    allowed: Limits | None = None,
) -> Reading:
    """The rows of a dataset: a file, a zip, or a folder.

    Args:
        path: where it lies. A file that is no zip is read alone: its pictures are in it.
        name: how a person knows it; by default the path's last part.
        space: in what its boxes are, where a person says so; by default it is found out.
        stopped: asked between rows; when it says so, there are no more.
        allowed: limits of each picture, where they are narrower than the settings.

    Returns:
        The rows and the problems, one after the other: only those at hand are in memory. While
        they come, `BadInput` is raised where it is no dataset or holds too much, with a sentence
        that lists what is taken.
    """
    return Reading(path, name, space, stopped, allowed)
