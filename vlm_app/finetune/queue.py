"""The line of runs: one trains at a time on a data folder, whoever asked for it, first come, first served.

Everything it knows stands in the runs' folders, so it survives the app. Of several processes of the
app on one data folder the one that holds a lock sees to it; when that one ends, another one does.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from vlm_app.engine import Reservation
from vlm_app.errors import AppError
from vlm_app.finetune.events import State, Status
from vlm_app.finetune.locking import locked
from vlm_app.finetune.processes import ACTIVE, CHILD, spawn, standing, taken
from vlm_app.finetune.run_folder import RunFolder

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5  # between two looks at the folders
_END_SECONDS = 5.0  # for the thread to end
_ABANDONED = 24 * 3600.0  # seconds after which nobody makes or deletes a folder any more

Reserve = Callable[[RunFolder, int], Reservation]


class Queue:
    """Starts the next run when the last one has ended and there is memory for it.

    `reserve` sets the memory of a run aside, of which so many bytes are taken already. `child`
    is what trains, as arguments of Python.
    """

    def __init__(self, root: Path, reserve: Reserve, child: Sequence[str] = CHILD) -> None:
        self._root = root
        self._reserve = reserve
        self._child = child
        self._reserved: tuple[str, Reservation] | None = None  # of the run of this id
        self._drove = False  # whether we were the one that sees to it
        self._woken = threading.Event()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Look after the runs from now on, in a thread; again does no harm."""
        with self._lock:
            if not (self._thread and self._thread.is_alive()) and not self._closed.is_set():
                self._thread = threading.Thread(target=self._drive, name="runs", daemon=True)
                self._thread.start()
        self._woken.set()

    def close(self) -> None:
        """Leave the runs to themselves: what trains goes on, what waits waits for the next start."""
        self._closed.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(_END_SECONDS)

    def pause(self) -> None:
        """End what trains with a checkpoint, where we saw to it; the next start of the app goes on with it.

        `trains` tells when that is done. Raises `OSError` on a full disk.
        """
        self.close()
        if self._drove:
            for folder, status in _standings(self._root):
                if status.state in ACTIVE:
                    folder.pause.touch()

    @property
    def trains(self) -> bool:
        """Whether a run that we saw to has a process now: for one of another process nobody waits here."""
        return self._drove and trains(self._root)

    def _drive(self) -> None:
        while not self._closed.is_set():
            try:
                self._drive_while_ours()
            except OSError:  # no room, too many open files, a disk that is away: it may be back in a while
                _log.exception("The line of runs could not be looked after")
            self._rest()
        self._release()

    def _drive_while_ours(self) -> None:
        """Until we are closed, where no other process sees to the line."""
        self._root.mkdir(parents=True, exist_ok=True)
        with locked(self._root / "queue.lock") as ours:
            if ours:
                self._drove = True
                self._sweep()
            while ours and not self._closed.is_set():
                self._look_safely()
                self._rest()

    def _sweep(self) -> None:
        """Removes folders that were being made or deleted when the app ended."""
        for path in self._root.glob(".*"):
            with suppress(OSError):
                if path.is_dir() and path.stat().st_mtime < time.time() - _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)

    def _rest(self) -> None:
        self._woken.wait(_LOOK_SECONDS)
        self._woken.clear()

    def _look_safely(self) -> None:
        try:
            self._look()
        except Exception:  # noqa: BLE001 - one run that cannot be read or started must not stop the others
            _log.exception("The runs could not be looked after")

    def _look(self) -> None:
        standings = list(_standings(self._root))
        for folder, status in standings:
            _write_down(folder, status)
        active = [(folder, status) for folder, status in standings if status.state in ACTIVE]
        waiting = [(folder, status) for folder, status in standings if status.state is State.QUEUED]
        if active:
            self._count(*active[0])
        elif waiting:
            self._begin(*min(waiting, key=lambda each: (each[1].queued, each[0].path.name)))
        else:
            self._release()

    def _begin(self, folder: RunFolder, status: Status) -> None:
        """The next run starts as soon as its memory is free."""
        try:
            reservation = self._reservation(folder, 0)
            ready = reservation.ready(0)
        except AppError as error:
            self._release()
            folder.enter(State.FAILED, error.sentence)
            return
        if ready:
            self._spawn(folder)
        elif status.sentence != reservation.sentence:
            folder.update(sentence=reservation.sentence)

    def _spawn(self, folder: RunFolder) -> None:
        try:
            process = spawn(folder, self._child)
        except OSError as error:
            sentence = f"Its process could not be started ({error.strerror}): resume it in a while."
            folder.enter(State.FAILED, sentence)
            return
        if process:  # whose end somebody has to wait for, or it stays in the system's table
            threading.Thread(target=process.wait, name="run", daemon=True).start()

    def _count(self, folder: RunFolder, status: Status) -> None:
        """A run that trains holds its memory, also one that was started before this process was."""
        used = taken(status)
        try:
            self._reservation(folder, max(used, 1)).uses(used)
        except AppError as error:
            _log.warning("The run %s trains without a reservation: %s", folder.path.name, error.sentence)

    def _reservation(self, folder: RunFolder, used: int) -> Reservation:
        if self._reserved is None or self._reserved[0] != folder.path.name:
            self._release()
            self._reserved = (folder.path.name, self._reserve(folder, used))
        return self._reserved[1]

    def _release(self) -> None:
        if self._reserved is not None:
            self._reserved[1].release()
            self._reserved = None


def trains(root: Path) -> bool:
    """Whether a run in this folder, of whomever, has a process now."""
    return any(status.state in ACTIVE for _, status in _standings(root))


def _standings(root: Path) -> Iterator[tuple[RunFolder, Status]]:
    """Every run that ever joined the line and can be read."""
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        folder = RunFolder(path)
        if path.name.startswith(".") or not path.is_dir() or not folder.begun:
            continue
        try:
            yield folder, standing(folder)
        except AppError as error:
            _log.debug("%s: %s", folder.path.name, error.sentence)


def _write_down(folder: RunFolder, status: Status) -> None:
    """What nobody was left to write: that a run broke, was paused, or was stopped in the line."""
    if status.state is folder.status.state:
        return
    with folder.changing():
        written, status = folder.status.state, standing(folder)  # it may have been resumed meanwhile
        left = status.state in (State.BROKEN, State.QUEUED) and written in ACTIVE
        if left or (status.state is State.STOPPED and written is State.QUEUED):
            folder.enter(status.state, status.sentence)
