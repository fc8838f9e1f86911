"""Runs of an owner: started, listed, stopped, resumed and deleted.

A run is a folder `runs/<id>/` of the data folder and a row that says whose it is. The row is kept
where the folder is lost or damaged, so that such a run is listed with a sentence and can be deleted.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from vlm_app import limits
from vlm_app.engine import Engine
from vlm_app.errors import BadInput, NotFound, TooMany
from vlm_app.finetune.events import Event, State, Status
from vlm_app.finetune.judging import Judged, judged
from vlm_app.finetune.plans import Plans
from vlm_app.finetune.processes import ACTIVE, CHILD, RESUMABLE, end, standing
from vlm_app.finetune.queue import Queue
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import Data, RunFolder
from vlm_app.store import Store, new_id
from vlm_app.store.database import told
from vlm_app.store.disk import size_below
from vlm_app.store.tables import RunRow

_END_SECONDS = 10.0  # for the process of a run that is deleted


@dataclass(frozen=True, slots=True)
class Run:
    """A run as it is now. Without `config` its folder is gone or damaged, as `status.sentence` says."""

    id: str
    owner: str
    name: str
    created: datetime
    folder: RunFolder
    status: Status
    config: RunConfig | None = None
    data: Data | None = None

    @property
    def state(self) -> State:
        return self.status.state


class Runs:
    """The runs on a data folder. What is somebody else's is `NotFound`, as what does not exist.

    `plans` knows what a run would take before it starts. `child` is what trains, as arguments of
    Python to which the folder is added.
    """

    def __init__(self, store: Store, engine: Engine, child: Sequence[str] = CHILD) -> None:
        self._store = store
        self.plans = Plans(store, engine)
        self._root = store.data / "runs"
        self._queue = Queue(self._root, self.plans.reserve, child)
        store.disk.also("runs", self._bytes)

    def drive(self) -> None:
        """Look after the line of runs, as the app does from its start on; `start` and `resume` do it too."""
        self._queue.start()

    def pause(self) -> None:
        """What trains ends with a checkpoint, and goes on when the app is there again; see `trains`."""
        with told(self._store.data):
            self._queue.pause()

    def trains(self) -> bool:
        """Whether a run that this process saw to, of whomever, has a process now."""
        return self._queue.trains

    def close(self) -> None:
        """What trains goes on without us."""
        self._queue.close()

    def start(self, owner: str, config: RunConfig, dataset_id: str) -> Run:
        """Put a run in the line, with a copy of the dataset's examples as they are now.

        Raises `BadInput` for a dataset that the run cannot learn from, `NotFound`, `TooMany` while as many
        runs of theirs as the owner may have wait or train, `TooMuch`, and `StoreUnavailable`.
        """
        self._check_room(owner)
        id = new_id()
        folder = self.plans.make(id, owner, config, dataset_id)
        row = RunRow(id=id, owner=owner, name=config.name, body={"dataset": dataset_id}, created=_now())
        try:
            with self._store.writing() as session:
                session.add(row)
        except BaseException:  # without its row nobody could find the folder, or delete it
            shutil.rmtree(folder.path, ignore_errors=True)
            raise
        with told(self._store.data):
            folder.update(state=State.QUEUED, queued=time.time())
        self.drive()
        return self.run(owner, id)

    # --- looking ----------------------------------------------------------------------------

    def runs(self, owner: str) -> tuple[Run, ...]:
        """The owner's runs, the last started first."""
        rows = select(RunRow).filter_by(owner=owner).order_by(RunRow.created.desc(), RunRow.id.desc())
        with self._store.reading() as session:
            return tuple(self._run(row) for row in session.scalars(rows))

    def run(self, owner: str, id: str) -> Run:
        """One run. Raises `NotFound`."""
        with self._store.reading() as session:
            return self._run(_row(session, owner, id))

    def events(self, owner: str, id: str, since: int = 0) -> tuple[tuple[Event, ...], int]:
        """What a run said from byte `since` of its events on, and where the next ones begin."""
        return self.run(owner, id).folder.events(since)

    def judged(self, owner: str, id: str) -> Judged | None:
        """Whether a run helped, with the answers before and after; None while it is not scored.

        Raises `NotFound`, and `BadInput` where its files are damaged.
        """
        return judged(self.run(owner, id).folder)

    def changed(self) -> Iterator[tuple[str, datetime]]:
        """Of everybody's runs the owner and the time of the last change: now, where one trains or waits."""
        with self._store.reading() as session:
            runs = [self._run(row) for row in session.scalars(select(RunRow))]
        for run in runs:
            if run.state in (State.QUEUED, *ACTIVE):
                yield run.owner, datetime.now(UTC)
            else:
                yield run.owner, max(run.created, datetime.fromtimestamp(run.status.updated, UTC))

    def _run(self, row: RunRow) -> Run:
        folder = self._folder(row.id)
        facts = (row.id, row.owner, row.name, row.created, folder)
        if not folder.begun:
            lost = "The folder of this run is gone: delete it, and start it again from its dataset."
            return Run(*facts, Status(state=State.FAILED, sentence=lost))
        try:
            return Run(*facts, standing(folder), folder.config, folder.data)
        except BadInput as error:
            return Run(*facts, Status(state=State.FAILED, sentence=error.sentence))

    # --- by hand ----------------------------------------------------------------------------

    def stop(self, owner: str, id: str) -> Run:
        """End a run with a checkpoint, or take it out of the line; it can be resumed."""
        run = self.run(owner, id)
        if run.state in (State.QUEUED, *ACTIVE):
            with told(self._store.data):
                run.folder.stop.touch()
            self._queue.start()
        return self.run(owner, id)

    def resume(self, owner: str, id: str) -> Run:
        """Put a run that did not come to its end into the line again, from its last checkpoint.

        Raises `BadInput` for one that is done, waits or trains, or whose folder cannot be read.
        """
        run = self.run(owner, id)
        if run.config is None:
            raise BadInput(run.status.sentence)
        with told(self._store.data), run.folder.changing():
            state = standing(run.folder).state
            if state not in RESUMABLE:
                raise BadInput(f"'{run.name}' is {state}: only a run that stopped or broke can be resumed.")
            self._check_room(owner)
            run.folder.stop.unlink(missing_ok=True)
            run.folder.spare()
            run.folder.update(state=State.QUEUED, queued=time.time(), sentence="", pid=None)
        self.drive()
        return self.run(owner, id)

    def delete(self, owner: str, id: str, state: State) -> None:
        """Remove a run but not its adapter; one that trains is ended first, without a checkpoint.

        `state` is how whoever asks believes it stands: `BadInput` where it has changed since.
        """
        run = self.run(owner, id)
        if run.state is not state:
            raise BadInput(f"'{run.name}' was {state} and is {run.state} now: look again before deleting it.")
        with told(self._store.data):
            self._remove(run.folder)
        with self._store.writing() as session:
            session.delete(_row(session, owner, id))

    def _remove(self, folder: RunFolder) -> None:
        gone = self._root / f".{folder.path.name}.gone"
        if not folder.path.is_dir():
            return
        folder.stop.touch()  # it is not started from here on
        for _ in range(2):  # again, if it was just being started
            try:
                ended = end(folder, _END_SECONDS)
            except BadInput:  # of a damaged one nothing trains that could be known
                ended = True
            if not ended:
                raise BadInput("The process of this run does not end: try to delete it again in a while.")
            if folder.path.is_dir() and not gone.exists():
                folder.path.rename(gone)
                folder = RunFolder(gone)
        shutil.rmtree(gone, ignore_errors=True)

    # --- inside -----------------------------------------------------------------------------

    def _folder(self, id: str) -> RunFolder:
        return RunFolder(self._root / id)  # an id of a row: never what came from outside

    def _check_room(self, owner: str) -> None:
        """Whether an owner may have one more run now, and has room for its files."""
        allowed = limits.of(owner)
        if allowed.runs is not None:
            now = sum(each.state in (State.QUEUED, *ACTIVE) for each in self.runs(owner))
            if now >= allowed.runs:
                many = "1 run waits or trains" if allowed.runs == 1 else f"{allowed.runs} runs wait or train"
                raise TooMany(
                    f"At most {many} at once for {allowed.a_role}: wait for the end of one, or stop it, and "
                    "start this one again."
                )
        self._store.disk.check(owner)

    def _bytes(self, owner: str) -> int:
        """What the folders of an owner's runs take."""
        with self._store.reading() as session:
            ids = session.scalars(select(RunRow.id).filter_by(owner=owner)).all()
        return sum(size_below(self._folder(id).path) for id in ids)


def _row(session: Session, owner: str, id: str) -> RunRow:
    row = session.scalar(select(RunRow).filter_by(owner=owner, id=id))
    if row is None:
        raise NotFound("This run does not exist or is not yours: choose another one.")
    return row


def _now() -> datetime:
    return datetime.now(UTC)
