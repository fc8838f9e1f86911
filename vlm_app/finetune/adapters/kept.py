"""The adapters of an owner: listed, read, packed, taken in, merged, pushed and deleted."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select

from vlm_app import catalog, hub
from vlm_app.engine import Engine, adapters
from vlm_app.engine.adapters import Adapter
from vlm_app.engine.attaching import CONFIG, WEIGHTS, damaged
from vlm_app.errors import AppError, BadInput, NotFound, TooMuch
from vlm_app.finetune.adapters.archive import pack, published, take_in
from vlm_app.finetune.adapters.card import CARD, Card
from vlm_app.finetune.adapters.keeping import ROOT
from vlm_app.finetune.adapters.merging import alone, merge, place
from vlm_app.finetune.events import State
from vlm_app.finetune.processes import ACTIVE, standing
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.store import Store, new_id
from vlm_app.store.database import told
from vlm_app.store.disk import Reservation, size_below
from vlm_app.store.tables import RunRow

Tell = Callable[[str], None]
MERGED = "merged"  # of the data folder
MOST_BYTES = 5_000_000_000  # of a zip: LoRA of rank 512 on all of 7 billion parameters has about three


@dataclass(frozen=True, slots=True)
class Kept:
    """An adapter on disk. `problem` says why it has no card to show; `bytes` are those of its weights."""

    id: str
    name: str
    base: str
    own: bool  # whether it belongs to who asks, and not to everybody
    card: Card | None
    problem: str
    bytes: int


class Adapters:
    """The adapters on a data folder. What is somebody else's is `NotFound`, as what does not exist.

    One without an owner is everybody's to use and to download, and nobody's to delete.
    """

    def __init__(self, store: Store, engine: Engine) -> None:
        self._store = store
        self._engine = engine
        self._data = store.data
        store.disk.also("adapters", self._bytes)

    # --- looking ----------------------------------------------------------------------------

    def of(self, owner: str | None) -> tuple[Kept, ...]:
        """What a visitor may use, by name; None: what is there, for whoever sits at this computer."""
        return tuple(_kept(each, owner) for each in adapters.installed(owner))

    def changed(self) -> Iterator[tuple[str, datetime]]:
        """Of everybody's adapters the owner and the time of the last change; '' owns what is for all."""
        for each in adapters.installed():
            yield each.owner, datetime.fromtimestamp(each.folder.stat().st_mtime, UTC)

    def card(self, owner: str | None, id: str) -> Card:
        """What is known of an adapter; of one without a card that is its base.

        Raises `NotFound`, and `BadInput` for a card that is damaged or of another version.
        """
        return _card(adapters.find(id, owner))

    def archive(self, owner: str | None, id: str) -> Path:
        """A zip of its weights, PEFT's settings, the card and a README, in the cache of the data folder.

        Raises as `card` does, and `StoreUnavailable` where the disk refuses.
        """
        adapter = adapters.find(id, owner)
        card = _card(adapter)
        zipped = self._packed / f"{adapter.id}-{_state(adapter)}.zip"
        if not zipped.is_file():
            with told(self._data), self._folder(adapter, card) as folder:
                pack(folder, zipped)
        return zipped

    # --- by hand ----------------------------------------------------------------------------

    @contextmanager
    def arriving(self) -> Iterator[Path]:
        """Where a zip is written that comes for `take_in`, for the time of the block."""
        path = self._packed / f".{new_id()}.zip"
        with told(self._data):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                yield path
            finally:
                path.unlink(missing_ok=True)

    def take_in(self, owner: str, path: Path, name: str, room: Reservation | None = None) -> str:
        """Keep an adapter that somebody brings as a zip, in `room` that was reserved; returns its id.

        Raises `BadInput` or `ModelUnavailable` with a sentence for what cannot be taken, and `TooMuch`.
        """
        id = new_id()

        def check(count: int) -> None:  # a zip says little of what comes out of it
            if room is not None:
                check_zip(room, count)

        with told(self._data):
            take_in(path, name, id, owner, self._data, check)
        if room is not None:
            room.wrote(size_below(self._data / ROOT / id))
        return id

    def delete(self, owner: str | None, id: str) -> None:
        """Remove an adapter, with what was merged from it unless that is one of the models.

        Chats that name it say so when they are next asked. Raises `NotFound`, and `BadInput` for one
        without an owner, or while a run goes on from it or it is being merged.
        """
        adapter = self._own(owner, id)
        for run in self._runs_from(id):
            raise BadInput(f"The run '{run}' goes on from this adapter: stop it first, or wait for its end.")
        merged = self._data / MERGED / adapter.id
        with told(self._data), alone(merged):
            self._remove(adapter.folder, merged)

    def delete_unreadable(self, owner: str) -> None:
        """Remove an owner's adapters that are damaged: nobody can list or use them."""
        for folder in adapters.unreadable(owner):
            with told(self._data):
                self._remove(folder, self._data / MERGED / folder.name)

    def _remove(self, folder: Path, merged: Path) -> None:
        gone = folder.with_name(f".{folder.name}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
        for zipped in self._packed.glob(f"{folder.name}-*.zip"):
            zipped.unlink(missing_ok=True)
        if not any(Path(row.source).is_relative_to(merged.resolve()) for row in catalog.catalog().values()):
            shutil.rmtree(merged, ignore_errors=True)

    def merge(self, owner: str | None, id: str, tell: Tell) -> Path:
        """The folder of a whole model with the adapter in its weights, made where it is not there yet.

        It is made in a process of its own; `tell` hears in sentences how it goes, and ends it where it
        raises. Raises `NotFound`, `BadInput`, `ModelUnavailable`, and `StoreUnavailable`.
        """
        adapter = adapters.find(id, owner)
        card = _card(adapter)
        with told(self._data):
            return merge(self._engine, adapter, card, self._data / MERGED / adapter.id, tell)

    def merged(self, owner: str | None, id: str) -> Path | None:
        """The folder that `merge` made, None where there is none now. Raises as `card` does."""
        adapter = adapters.find(id, owner)
        folder = place(_card(adapter), self._data / MERGED / adapter.id)
        return folder if folder.is_dir() else None

    def push(
        self, owner: str | None, id: str, repo: str, token: str, private: bool, merged: Path | None = None
    ) -> str:
        """Upload an adapter, or the folder that `merge` returned, to a new repository; returns its address.

        `token` is the user's own: it is handed to the Hub's client, and neither kept nor logged. Raises
        `NotFound`, and `BadInput` or `ModelUnavailable` where the Hub refuses or cannot be reached.
        """
        adapter = adapters.find(id, owner)
        card = _card(adapter)
        if merged is not None:
            if merged.parent != self._data / MERGED / adapter.id:
                raise NotFound("This is no model that was merged from the adapter: merge it again.")
            return hub.publish(merged, repo, token, private)
        with told(self._data), self._folder(adapter, card) as folder:
            return hub.publish(folder, repo, token, private)

    def room(self, owner: str) -> Reservation:
        """Room for a zip that this owner brings, to be closed. Raises `TooMuch` where there is none."""
        return self._store.disk.reserve(owner)

    # --- inside -----------------------------------------------------------------------------

    def _bytes(self, owner: str) -> int:
        """What an owner's adapters take, and the models that were merged from them."""
        own = [each.folder for each in adapters.installed(owner) if each.owner == owner]
        own += adapters.unreadable(owner)
        return sum(size_below(each) + size_below(self._data / MERGED / each.name) for each in own)

    @property
    def _packed(self) -> Path:
        return self._data / "cache" / "adapters"

    @contextmanager
    def _folder(self, adapter: Adapter, card: Card) -> Iterator[Path]:
        """Its files as others may have them, for the time of the block."""
        folder = self._packed / f".{new_id()}"
        try:
            published(adapter, card, folder)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _own(self, owner: str | None, id: str) -> Adapter:
        adapter = adapters.find(id, owner)
        if owner is not None and adapter.owner != owner:
            raise BadInput(f"'{adapter.name}' is everybody's: whoever runs this app may delete it.")
        return adapter

    def _runs_from(self, id: str) -> Iterator[str]:
        """The names of runs that wait or train and began with this adapter."""
        with self._store.reading() as session:
            ids = list(session.scalars(select(RunRow.id)))
        for run in ids:
            folder = RunFolder(self._data / "runs" / run)
            try:
                if folder.config.adapter == id and standing(folder).state in (State.QUEUED, *ACTIVE):
                    yield folder.config.name
            except AppError:  # of a damaged one nothing is started
                continue


def _kept(adapter: Adapter, owner: str | None) -> Kept:
    card, problem = None, ""
    try:
        card = _card(adapter)
    except BadInput as error:
        problem = error.sentence
    own = owner is None or adapter.owner == owner
    weights = adapter.folder / WEIGHTS
    size = weights.stat().st_size if weights.is_file() else 0
    return Kept(adapter.id, adapter.name, adapter.base, own, card, problem, size)


def _card(adapter: Adapter) -> Card:
    """Its card; that of one which somebody put into the folder by hand says what PEFT's settings do."""
    if (adapter.folder / CARD).is_file():
        return Card.read(adapter.folder)
    return Card(name=adapter.name[:80], base=adapters.shown(adapter.base)[:300], revision=adapter.revision)


def _state(adapter: Adapter) -> str:
    """Changes when one of its files does."""
    if not (adapter.folder / WEIGHTS).is_file():
        raise damaged(adapter.name, f"the file {WEIGHTS}", "none")
    found = [(adapter.folder / name).stat() for name in (WEIGHTS, CONFIG)]
    return hashlib.sha256(repr([(each.st_mtime_ns, each.st_size) for each in found]).encode()).hexdigest()[
        :12
    ]


def check_zip(room: Reservation, count: int) -> None:
    """Raises `TooMuch` where a zip of so many bytes is more than is taken, or than there is room for."""
    if count > MOST_BYTES or not room.covers(count):
        most = MOST_BYTES if room.most is None else min(room.most, MOST_BYTES)
        raise TooMuch(
            f"An adapter may have at most {most / 1e6:,.3g} MB here, found {count / 1e6:,.3g} MB: bring a "
            "smaller one, or delete what you no longer need."
        )
