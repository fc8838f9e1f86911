"""Datasets on their way in: received, checked, and, where rows are bad, held until a person decides.

An owner has at most one on the way. All of it happens in threads of the app, so that a reload of the
page loses nothing; a restart loses what was not kept yet, and its files go with the next sweep.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Lock

from vlm_app import limits
from vlm_app.errors import AppError, BadInput, NotFound
from vlm_app.finetune.arrival import ENDED, GONE, Arrival, Receiving, Room, Stage, check_room, safe, shown
from vlm_app.finetune.examples import Dataset, Examples
from vlm_app.finetune.uploads import Report, check, read_dataset, take_in
from vlm_app.store import new_id
from vlm_app.store.database import told

_log = logging.getLogger(__name__)
_AT_ONCE = 2  # datasets that are read together; others wait
_MOST_FILES = 2_000
_NAME = 60  # characters of a dataset that is named after its file


class Arrivals:
    """The arrivals of all owners. Safe to use from several threads."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self._disk = examples.disk
        self._disk.also("arrivals", self._bytes)
        self._workers = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="arrivals")
        self._lock = Lock()
        self._rooms: dict[str, Room] = {}  # by owner
        self._refusing = False

    def refuse(self) -> None:
        """Nothing further is brought; what is on its way goes on."""
        self._refusing = True

    def close(self) -> None:
        """What was kept stays; the rest is let go."""
        with self._lock:
            rooms = list(self._rooms.values())
        for room in rooms:
            room.stop.set()
        self._workers.shutdown(wait=True, cancel_futures=True)
        for room in rooms:
            room.close.close()

    def of(self, owner: str) -> Arrival | None:
        """What is on the way for an owner, or was last."""
        room = self._rooms.get(owner)
        return room.arrival if room else None

    # --- receiving --------------------------------------------------------------------------

    def begin(self, owner: str, name: str, dataset: str = "", total: int = 0) -> Arrival:
        """Make room for files of `total` bytes that a person calls `name`; `dataset` is where they go.

        Raises `BadInput` while another one is on the way, or where there is no room, and `NotFound`.
        """
        if self._refusing:
            raise BadInput("The app is ending and takes no dataset: bring it again when it is back.")
        if dataset:
            self._examples.dataset(owner, dataset)
        with self._lock:
            self._sweep()
            before = self._rooms.get(owner)
            if before and before.arrival.stage not in ENDED:
                raise BadInput(
                    f"'{before.arrival.name}' is still on its way: wait until it has come, or stop it."
                )
            with ExitStack() as undo:
                reserved = undo.enter_context(self._disk.reserve(owner, max(0, total)))
                room = Room(Arrival(new_id(), owner, shown(name), dataset, total=max(0, total)), reserved)
                undo.callback(room.close.close)
                check_room(room.arrival.name, total)
                undo.pop_all()
            self._rooms[owner] = room
        return room.arrival

    def file(self, owner: str, id: str, name: str) -> Receiving:
        """A file of an arrival, to be written piece by piece. Raises `BadInput` and `NotFound`."""
        room = self._room(owner, id, Stage.RECEIVING)
        if len(room.files) >= _MOST_FILES:
            raise BadInput(f"At most {_MOST_FILES:,} files come at once: pack them into a zip.")
        folder = room.folder / "upload"
        path = folder / safe(name, {each.name for each in room.files})
        room.files.append(path)
        try:
            with told(room.folder):
                folder.mkdir(exist_ok=True)
                return Receiving(room, path.open("xb"), lambda error: self._fail(room, error))
        except AppError as error:
            self._fail(room, error)
            raise

    def came(self, owner: str, id: str) -> Arrival:
        """All files are there: they are checked."""
        room = self._room(owner, id, Stage.RECEIVING)
        if not room.files:
            raise BadInput("No file has come: choose a dataset.")
        self._waits(room, Stage.RECEIVING)
        self._workers.submit(self._safely, room, self._check)
        return room.arrival

    def bring(self, owner: str, path: Path, name: str) -> Arrival:
        """A dataset that is here already, into a new one."""
        arrival = self.begin(owner, name)
        room = self._room(owner, arrival.id, Stage.RECEIVING)
        room.files.append(path)
        return self.came(owner, arrival.id)

    # --- by hand ----------------------------------------------------------------------------

    def add(self, owner: str, id: str) -> Arrival:
        """Add what is good, and leave out the rest."""
        room = self._room(owner, id, Stage.ASKING)
        self._waits(room, Stage.ASKING)
        self._workers.submit(self._safely, room, self._add)
        return room.arrival

    def stop(self, owner: str, id: str) -> None:
        """Read no further, or add nothing; what was added before stays. What has ended, has ended."""
        room = self._rooms.get(owner)
        if room is None or room.arrival.id != id:
            return
        room.stop.set()
        if room.arrival.stage in (Stage.RECEIVING, Stage.ASKING):
            self._forget(room)

    def dismiss(self, owner: str, id: str) -> None:
        """A person has read what became of it."""
        room = self._rooms.get(owner)
        if room and room.arrival.id == id and room.arrival.stage in ENDED:
            self._forget(room)

    # --- inside -----------------------------------------------------------------------------

    def _bytes(self, owner: str) -> int:
        """What has come for an owner, and is not a dataset yet."""
        room = self._rooms.get(owner)
        return room.arrival.bytes if room and room.arrival.stage not in ENDED else 0

    def _check(self, room: Room) -> None:
        room.now(stage=Stage.CHECKING)
        allowed = limits.of(room.arrival.owner)
        with read_dataset(room.whole, room.arrival.name, stopped=room.stop.is_set, allowed=allowed) as rows:
            found = check(rows, lambda report: room.now(report=report))
        if room.stop.is_set():
            self._forget(room)
        elif not found.added + found.again:
            room.now(report=found)
            which = "The only row" if found.left_out == 1 else f"None of the {found.left_out:,} rows"
            can = "cannot" if found.left_out == 1 else "can"
            raise BadInput(f"{which} of '{room.arrival.name}' {can} be used.")
        elif found.left_out:
            room.now(stage=Stage.ASKING, report=found)
        else:
            self._add(room)

    def _add(self, room: Room) -> None:
        owner, where = room.arrival.owner, room.arrival.dataset
        dataset = self._examples.dataset(owner, where) if where else self._new(owner, room.arrival.name)
        room.now(stage=Stage.ADDING, dataset=dataset.id, report=Report())
        try:
            report = take_in(
                self._examples, owner, dataset.id, room.whole, room.arrival.name,
                report=lambda found: room.now(report=found), stop=room.stop,
            )  # fmt: skip
        finally:
            if not where and not self._examples.dataset(owner, dataset.id).size:
                self._examples.delete_dataset(owner, dataset.id)
                room.now(dataset="")
        room.now(stage=Stage.DONE, report=report)
        room.close.close()

    def _new(self, owner: str, name: str) -> Dataset:
        """A dataset that is named after its file."""
        base = " ".join(re.sub(r"\.\w{1,8}$", "", name).replace("_", " ").split())[:_NAME] or "Dataset"
        taken = {each.name.casefold() for each in self._examples.datasets(owner)}
        names = (base if number == 1 else f"{base} {number}" for number in range(1, len(taken) + 2))
        return self._examples.create(owner, next(each for each in names if each.casefold() not in taken))

    def _safely(self, room: Room, work: Callable[[Room], None]) -> None:
        """Whatever goes wrong is told to who waits for it."""
        if room.stop.is_set():
            self._forget(room)
            return
        try:
            with told(room.folder):
                work(room)
        except AppError as error:
            self._fail(room, error)
        except Exception:  # noqa: BLE001 - in a thread of its own nobody else would hear of it
            _log.exception("A dataset could not be taken in")
            self._fail(room, BadInput("Something went wrong while this dataset was read: try again."))

    @staticmethod
    def _fail(room: Room, error: AppError) -> None:
        room.now(stage=Stage.FAILED, sentence=error.sentence)
        room.close.close()

    def _room(self, owner: str, id: str, stage: Stage | None = None) -> Room:
        room = self._rooms.get(owner)
        if room is None or room.arrival.id != id or stage not in (None, room.arrival.stage):
            raise NotFound(GONE)
        return room

    def _waits(self, room: Room, since: Stage) -> None:
        """Its turn comes once, however often it is asked for. Raises `NotFound`."""
        with self._lock:
            if room.arrival.stage is not since:
                raise NotFound(GONE)
            room.now(stage=Stage.WAITING)

    def _forget(self, room: Room) -> None:
        room.close.close()
        with self._lock:
            if self._rooms.get(room.arrival.owner) is room:
                del self._rooms[room.arrival.owner]

    def _sweep(self) -> None:
        for owner, room in list(self._rooms.items()):
            if room.abandoned:
                room.stop.set()
                room.close.close()
                del self._rooms[owner]
