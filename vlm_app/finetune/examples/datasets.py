"""Datasets in the store: every query names the owner, every change is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.examples.example import Example
from vlm_app.finetune.examples.schema import digest, example_from_dict, example_to_dict
from vlm_app.store import Store, new_id, writable
from vlm_app.store.disk import Disk
from vlm_app.store.tables import DatasetRow, ExampleMediaRow, ExampleRow, MediaRow
from vlm_app.types import Task

_LONGEST_NAME = 80  # characters


@dataclass(frozen=True, slots=True)
class Dataset:
    """A set of examples; `counts` says how many it has of each task."""

    id: str
    owner: str
    name: str
    counts: Mapping[Task, int]
    created: datetime
    updated: datetime

    @property
    def size(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class Added:
    """What became of an example: `again` when the dataset held the same already.

    `example` is as it is kept, `dataset` as it is now.
    """

    example: Example
    dataset: Dataset
    again: bool = False

    @property
    def sentence(self) -> str:
        """What a person is told."""
        name, size = self.dataset.name, self.dataset.size
        if self.again:
            return f"'{name}' holds this example already: nothing was added."
        return f"Added to '{name}', which has {size} example{'s' * (size != 1)} now."


@dataclass(frozen=True, slots=True)
class Held:
    """An example as a dataset holds it, with the media ids of its pictures."""

    example: Example
    media: tuple[str, ...]
    dataset: str


class Examples:
    """The datasets of a store, of all owners. Safe to use from several threads.

    What is somebody else's is `NotFound`, exactly as what does not exist.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- datasets -------------------------------------------------------------------------

    def datasets(self, owner: str) -> tuple[Dataset, ...]:
        """The owner's datasets, the last changed first."""
        rows = select(DatasetRow).filter_by(owner=owner)
        with self._store.reading() as session:
            ordered = session.scalars(rows.order_by(DatasetRow.updated.desc(), DatasetRow.id.desc()))
            return tuple(_dataset(session, row) for row in ordered)

    def create(self, owner: str, name: str) -> Dataset:
        """A new dataset. Raises `BadInput` for a name that is empty, too long or taken."""
        with self._store.writing() as session:
            now = datetime.now(UTC)
            row = DatasetRow(
                id=new_id(), owner=owner, name=_free_name(session, owner, name), created=now, updated=now
            )
            session.add(row)
            session.flush()
            return _dataset(session, row)

    def rename(self, owner: str, dataset_id: str, name: str) -> Dataset:
        """Gives a dataset another name. Raises as `create` does, and `NotFound`."""
        with self._store.writing() as session:
            row = _dataset_row(session, owner, dataset_id)
            row.name = _free_name(session, owner, name, dataset_id)
            row.updated = datetime.now(UTC)
            return _dataset(session, row)

    def delete_dataset(self, owner: str, dataset_id: str) -> None:
        """Removes a dataset with its examples, and the images that only they held."""
        with self._store.writing() as session:
            row = _dataset_row(session, owner, dataset_id)
            held = select(ExampleMediaRow.media_id).join(
                ExampleRow, ExampleRow.id == ExampleMediaRow.example_id
            )
            media = set(session.scalars(held.where(ExampleRow.dataset_id == dataset_id)))
            session.delete(row)
        self._store.drop_unused(owner, sorted(media))

    @property
    def disk(self) -> Disk:
        """How much of the disk each owner has."""
        return self._store.disk

    # --- examples -------------------------------------------------------------------------

    def add(self, owner: str, dataset_id: str, example: Example) -> Added:
        """Keeps an example, with its pictures. The same one is kept once, which `again` says.

        The same is what teaches the same: pictures, task, query, and the right and the wrong
        answer; who made it and where it comes from do not count.
        """
        taught = digest(example)
        self._store.write_images(owner, example.pictures)
        with self._store.writing() as session:
            dataset = _dataset_row(session, owner, dataset_id)
            kept = session.scalar(
                select(ExampleRow).filter_by(owner=owner, dataset_id=dataset_id, digest=taught)
            )
            if kept is not None:
                return Added(self._example(session, kept), _dataset(session, dataset), again=True)
            now = datetime.now(UTC)
            row = self._insert(session, dataset, example, taught, now)
            dataset.updated = now
            session.flush()
            return Added(replace(example, id=row.id, created=now), _dataset(session, dataset))

    def add_all(self, owner: str, dataset_id: str, examples: Sequence[Example]) -> tuple[bool, ...]:
        """Keeps examples in one transaction; of each whether it was there already, as `Added.again` says.

        Their pictures are in memory together: whoever has many brings them in parts. Raises
        `NotFound`, and then keeps none.
        """
        taught = [digest(example) for example in examples]
        for example in examples:
            self._store.write_images(owner, example.pictures)
        with self._store.writing() as session:
            dataset = _dataset_row(session, owner, dataset_id)
            known = select(ExampleRow.digest).filter_by(owner=owner, dataset_id=dataset_id)
            held = set(session.scalars(known.where(ExampleRow.digest.in_(taught))))
            again, now = list[bool](), datetime.now(UTC)
            for example, one in zip(examples, taught, strict=True):
                again.append(one in held)
                if one not in held:
                    held.add(one)
                    self._insert(session, dataset, example, one, now)
                    dataset.updated = now
        return tuple(again)

    def _insert(
        self, session: Session, dataset: DatasetRow, example: Example, taught: str, now: datetime
    ) -> ExampleRow:
        owner = dataset.owner
        media = self._store.keep_pictures(session, owner, example.pictures)
        row = ExampleRow(
            id=new_id(),
            owner=owner,
            dataset_id=dataset.id,
            task=example.task.value,
            digest=taught,
            body=example_to_dict(example, media),
            created=now,
        )
        session.add(row)
        session.flush()
        session.add_all(ExampleMediaRow(example_id=row.id, media_id=each, owner=owner) for each in set(media))
        return row

    def examples(self, owner: str, dataset_id: str) -> tuple[Example, ...]:
        """The examples of a dataset, the oldest first. Pixels are read when they are first used.

        Raises `NotFound`, also when an image is missing from the data folder.
        """
        with self._store.reading() as session:
            _dataset_row(session, owner, dataset_id)
            mine = (ExampleRow.owner == owner) & (ExampleRow.dataset_id == dataset_id)
            _media = _held_media(session, mine)
            rows = select(ExampleRow).where(mine).order_by(ExampleRow.id)
            return tuple(self._example(session, row) for row in session.scalars(rows))

    def places(self, owner: str, ids: Collection[str]) -> dict[str, str]:
        """The names of the datasets that hold these examples, by the examples' ids; others are left out."""
        held = select(ExampleRow.id, DatasetRow.name).join(DatasetRow, DatasetRow.id == ExampleRow.dataset_id)
        with self._store.reading() as session:
            found = session.execute(held.where(ExampleRow.owner == owner, ExampleRow.id.in_(ids)))
            return {row.id: row.name for row in found}

    def dataset(self, owner: str, dataset_id: str) -> Dataset:
        """One dataset. Raises `NotFound`."""
        with self._store.reading() as session:
            return _dataset(session, _dataset_row(session, owner, dataset_id))

    def answers(self, owner: str, dataset_id: str) -> dict[tuple[bool, bool], int]:
        """How many examples hold a right answer or not, and a wrong one or not. Raises `NotFound`."""
        right, wrong = (ExampleRow.body[name].as_string().is_not(None) for name in ("text", "rejected"))
        counted = select(right, wrong, func.count()).filter_by(owner=owner, dataset_id=dataset_id)
        with self._store.reading() as session:
            _dataset_row(session, owner, dataset_id)
            found = session.execute(counted.group_by(right, wrong))
            return {(bool(has_right), bool(has_wrong)): count for has_right, has_wrong, count in found}

    def digests(self, owner: str, dataset_id: str) -> frozenset[str]:
        """What tells its examples from others: datasets with the same teach the same. Raises `NotFound`."""
        rows = select(ExampleRow.digest).filter_by(owner=owner, dataset_id=dataset_id)
        with self._store.reading() as session:
            _dataset_row(session, owner, dataset_id)
            return frozenset(session.scalars(rows))

    def ids(self, owner: str, dataset_id: str) -> tuple[str, ...]:
        """The ids of a dataset's examples, the oldest first. Raises `NotFound`."""
        with self._store.reading() as session:
            _dataset_row(session, owner, dataset_id)
            of = select(ExampleRow.id).filter_by(owner=owner, dataset_id=dataset_id)
            return tuple(session.scalars(of.order_by(ExampleRow.id)))

    def held(self, owner: str, ids: Collection[str]) -> tuple[Held, ...]:
        """Some examples, the oldest first; those that are gone or somebody else's are left out."""
        mine = (ExampleRow.owner == owner) & ExampleRow.id.in_(ids)
        with self._store.reading() as session:
            _media = _held_media(session, mine)
            found = session.scalars(select(ExampleRow).where(mine).order_by(ExampleRow.id))
            return tuple(
                Held(self._example(session, row), tuple(row.body["pictures"]), row.dataset_id)
                for row in found
            )

    def delete(self, owner: str, example_id: str) -> None:
        """Removes an example, and the images that only it held."""
        with self._store.writing() as session:
            row = _example_row(session, owner, example_id)
            media: Iterable[str] = row.body["pictures"]
            _dataset_row(session, owner, row.dataset_id).updated = datetime.now(UTC)
            session.delete(row)
        self._store.drop_unused(owner, sorted(set(media)))

    def _example(self, session: Session, row: ExampleRow) -> Example:
        pictures = [self._store.read_picture(session, row.owner, each) for each in row.body["pictures"]]
        return replace(example_from_dict(row.body, pictures), id=row.id, created=row.created)


# --- within a transaction ---------------------------------------------------------------------


def _dataset_row(session: Session, owner: str, id: str) -> DatasetRow:
    row = session.scalar(select(DatasetRow).filter_by(owner=owner, id=id))
    if row is None:
        raise NotFound("This dataset does not exist or is not yours: choose another one.")
    return row


def _example_row(session: Session, owner: str, id: str) -> ExampleRow:
    row = session.scalar(select(ExampleRow).filter_by(owner=owner, id=id))
    if row is None:
        raise NotFound("This example does not exist or is not yours: reload the dataset.")
    return row


def _held_media(session: Session, which: ColumnElement[bool]) -> Sequence[MediaRow]:
    """The rows of the pictures of some examples, in one query. The session knows them while they are held."""
    held = select(ExampleMediaRow.media_id).join(ExampleRow, ExampleRow.id == ExampleMediaRow.example_id)
    return session.scalars(select(MediaRow).where(MediaRow.id.in_(held.where(which)))).all()


def _dataset(session: Session, row: DatasetRow) -> Dataset:
    counted = select(ExampleRow.task, func.count()).filter_by(owner=row.owner, dataset_id=row.id)
    by_task = counted.group_by(ExampleRow.task).order_by(ExampleRow.task)
    counts = {Task(task): count for task, count in session.execute(by_task)}
    return Dataset(row.id, row.owner, row.name, counts, row.created, row.updated)


def _free_name(session: Session, owner: str, name: str, but: str = "") -> str:
    """The name on one line. Raises `BadInput` when it cannot be one, or another dataset has it."""
    name = writable(" ".join(name.split()))
    if not 0 < len(name) <= _LONGEST_NAME:
        raise BadInput(
            f"A dataset's name has 1 to {_LONGEST_NAME} characters, found {len(name)}: choose another one."
        )
    taken = session.scalars(select(DatasetRow.name).filter_by(owner=owner).where(DatasetRow.id != but))
    if name.casefold() in {other.casefold() for other in taken}:
        raise BadInput(f"There is a dataset '{name}' already: choose another name.")
    return name
