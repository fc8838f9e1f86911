"""All that is kept for one owner: counted, and deleted to the last file.

What a deletion is about is written down before it begins, so that one which a crash interrupts is gone on
with at the next start, and what was made since then stays. What another owner has as well, as the same
picture, stays theirs.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, select

from vlm_app.chat import Chats
from vlm_app.engine.adapters import unreadable
from vlm_app.errors import AppError, BadInput, NotFound
from vlm_app.finetune.workshop import Workshop
from vlm_app.store import Store
from vlm_app.store.database import told
from vlm_app.store.tables import ConversationRow, DatasetRow, FileRow, MediaRow, SheetRow
from vlm_app.store.uploads import Uploads
from vlm_app.workbench.bench import Bench

_MOST = 1_000_000  # sheets of one owner
_TRIES = 3  # a run may just be changing its state
_VISITOR = 24  # characters of the id of somebody who never signed in; at the computer itself there are more
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holdings:
    """How much of each there is."""

    chats: int = 0
    sheets: int = 0
    datasets: int = 0
    examples: int = 0
    runs: int = 0
    adapters: int = 0
    uploads: int = 0

    @property
    def words(self) -> str:
        """'3 chats, 1 sheet and 2 uploads'; '' for nothing."""
        counts = ((getattr(self, each.name), each.name) for each in fields(self))
        named = [f"{count:,} {name[:-1] if count == 1 else name}" for count, name in counts if count]
        return " and ".join((", ".join(named[:-1]), named[-1])) if len(named) > 1 else "".join(named)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was deleted, and in sentences what could not be; that is tried again later."""

    deleted: Holdings
    left: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """For a person."""
        told = f"Deleted: {self.deleted.words}." if self.deleted.words else "There was nothing to delete."
        return " ".join((told, *(f"Not yet deleted: {each}" for each in self.left)))


class Remembering(Protocol):
    """What of the engine is wanted here."""

    def forget(self, owner: str) -> None: ...


class OwnData:
    """The data of all owners of a data folder, one owner at a time."""

    def __init__(
        self, store: Store, chats: Chats, bench: Bench, workshop: Workshop, models: Remembering
    ) -> None:
        self._models = models
        self._store = store
        self._chats = chats
        self._bench = bench
        self._workshop = workshop
        self._uploads = Uploads(store.data)
        self._begun = store.data / "forgetting"

    def held(self, owner: str) -> Holdings:
        """What is kept for an owner now."""
        datasets = self._workshop.examples.datasets(owner)
        return Holdings(
            chats=len(self._chats.list(owner)),
            sheets=len(self._bench.recent(owner, _MOST)),
            datasets=len(datasets),
            examples=sum(each.size for each in datasets),
            runs=len(self._workshop.runs.runs(owner)),
            adapters=len(self._adapters(owner)) + len(unreadable(owner)),
            uploads=self._uploads.count(owner),
        )

    def forget(self, owner: str) -> Forgotten:
        """Deletes all of it. What refuses, as a run whose process does not end, is named.

        Raises `StoreUnavailable` where the disk refuses; the next start goes on with it.
        """
        with told(self._store.data):
            return self._forget(owner)

    def go_on(self) -> None:
        """Ends the deletions that were begun and not ended. To be called before anybody is served."""
        for note in self._begun.glob("*.json"):
            with suppress(AppError, ValueError, KeyError, TypeError), told(self._store.data):
                begun = json.loads(note.read_text("utf-8"))
                self._forget(str(begun["owner"]), frozenset(begun["steps"]))

    def forget_idle(self, days: float) -> None:
        """Forgets visitors who have changed nothing for so many days. Who signed in is never forgotten,
        and who sits at the computer itself neither."""
        before = datetime.now(UTC) - timedelta(days=days)
        for owner in self._visitors_since(before):
            try:
                self.forget(owner)
            except Exception:  # noqa: BLE001 - one that fails must not keep all others
                _log.exception("The data of a visitor could not be forgotten; it is tried again tomorrow")

    # --- inside -----------------------------------------------------------------------------

    def _forget(self, owner: str, only: Collection[str] | None = None) -> Forgotten:
        """All of it, or `only` the steps of these names."""
        steps = {name: step for name, step in self._steps(owner) if only is None or name in only}
        before, note = self.held(owner), self._note(owner, steps)
        left = dict(self._tried(steps))
        after = self.held(owner)
        if left:
            self._note(owner, left)
        else:
            note.unlink(missing_ok=True)
        self._store.compact()
        counts = {
            each.name: getattr(before, each.name) - getattr(after, each.name) for each in fields(before)
        }
        deleted = Holdings(**{name: max(0, count) for name, count in counts.items()})
        return Forgotten(deleted, tuple(left.values()))

    def _tried(self, steps: Mapping[str, Callable[[], object]]) -> Iterator[tuple[str, str]]:
        """Deletes one after the other; yields the names of steps that refused, and why."""
        for name, delete in steps.items():
            try:
                delete()
            except NotFound:  # somebody else was quicker, in another tab
                continue
            except BadInput as error:
                yield name, error.sentence

    def _steps(self, owner: str) -> Iterator[tuple[str, Callable[[], object]]]:
        """What there is to delete, by name. Runs come first: they hold adapters."""
        arrivals, runs, adapters = self._workshop.arrivals, self._workshop.runs, self._workshop.adapters
        if (arrival := arrivals.of(owner)) is not None:
            yield f"stop {arrival.id}", partial(arrivals.stop, owner, arrival.id)
            yield f"arrival {arrival.id}", partial(arrivals.dismiss, owner, arrival.id)
        for run in runs.runs(owner):
            yield f"run {run.id}", partial(self._delete_run, owner, run.id)
        for adapter in self._adapters(owner):
            yield f"adapter {adapter}", partial(adapters.delete, owner, adapter)
        yield "damaged adapters", partial(adapters.delete_unreadable, owner)
        for dataset in self._workshop.examples.datasets(owner):
            delete = partial(self._workshop.examples.delete_dataset, owner, dataset.id)
            yield f"dataset {dataset.id}", delete
        for sheet in self._bench.recent(owner, _MOST):
            yield f"sheet {sheet.id}", partial(self._bench.delete, owner, sheet.id)
        for chat in self._chats.list(owner):
            yield f"chat {chat.id}", partial(self._chats.delete, owner, chat.id)
        yield "loose", partial(self._loose, owner)
        yield "uploads", partial(self._uploads.forget, owner)
        yield "memory", partial(self._models.forget, owner)

    def _delete_run(self, owner: str, id: str) -> None:
        for tried in range(_TRIES):
            try:
                self._workshop.runs.delete(owner, id, self._workshop.runs.run(owner, id).state)
                return
            except BadInput:
                if tried == _TRIES - 1:
                    raise

    def _adapters(self, owner: str) -> list[str]:
        """Those that are the owner's, and not everybody's."""
        return [each.id for each in self._workshop.adapters.of(owner) if each.own]

    def _loose(self, owner: str) -> None:
        """Images and files that nothing of the owner held."""
        with self._store.reading() as session:
            media = list(session.scalars(select(MediaRow.id).filter_by(owner=owner)))
            files = list(session.scalars(select(FileRow.id).filter_by(owner=owner)))
        self._store.drop_unused(owner, media)
        self._store.drop_unused_files(owner, files)

    def _note(self, owner: str, steps: Iterable[str]) -> Path:
        """Written down for the case of a crash."""
        path = self._begun / f"{hashlib.sha256(owner.encode()).hexdigest()}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"owner": owner, "steps": list(steps)}), encoding="utf-8")
        return path

    def _visitors_since(self, before: datetime) -> list[str]:
        """Visitors of whom all is older than that, and for whom nothing is trained or waits for it."""
        changed = (
            (ConversationRow.owner, ConversationRow.updated),
            (SheetRow.owner, SheetRow.updated),
            (DatasetRow.owner, DatasetRow.updated),
        )
        last: dict[str, datetime] = {}
        with self._store.reading() as session:
            for owner_of, time_of in changed:
                for owner, time in session.execute(select(owner_of, func.max(time_of)).group_by(owner_of)):
                    last[owner] = max(time, last.get(owner, time))
        for owner, time in self._workshop.changed():
            last[owner] = max(time, last.get(owner, time))
        return [owner for owner, time in last.items() if time < before and len(owner) == _VISITOR]
