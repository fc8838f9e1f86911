"""The process of a run: `python -m vlm_app.finetune.child FOLDER`. It trains, scores and keeps the adapter.

It has a session of its own, so that neither a crash of the app nor a reload of the page ends it, and
tells how it goes in the run's folder. SIGTERM and the folder's files `stop` and `pause` end it with a
checkpoint; with `pause` there, it stands in the line again.
"""

from __future__ import annotations

import errno
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from vlm_app.engine import set_library_defaults
from vlm_app.engine.slots import in_words
from vlm_app.errors import AppError
from vlm_app.finetune.events import Answered, Event, State, Stepped
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.settings import environment_key

Work = Callable[[RunFolder, Callable[[Event], None], Callable[[], bool]], object]
LOG_BYTES = 1_000_000  # of child.log; of a longer one the end stays
_LOOK_SECONDS = 1.0  # between two looks at its size
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def main(path: Path, work: Work | None = None) -> int:
    """Do the work of a folder (None: train it, see whether it helped, keep the adapter); the exit status.

    At most one process works in a folder; another one leaves at once.
    """
    set_library_defaults()
    folder = RunFolder(path)
    if int(environment_key("RANK") or 0):  # of several that accelerate started, the first one tells
        (work or _train)(folder, lambda event: None, lambda: folder.to_end)
        return 0
    with folder.holding() as got:
        return _Child(folder).run(work or _everything) if got else 0


class _Child:
    """One run: what it tells, and whether it was asked to stop."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._stopping = threading.Event()
        self._saw = False  # the trainer knows that it is to stop

    def run(self, work: Work) -> int:
        faulthandler.enable()  # a crash in native code leaves its place in child.log
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stopping.set())
        threading.Thread(target=_bound, args=(self._folder.log,), name="log", daemon=True).start()
        state, sentence = self._ended(work)
        self._folder.enter(state, sentence)
        return int(state is State.FAILED)

    def _ended(self, work: Work) -> tuple[State, str]:
        """How it ended, and the sentence for it."""
        try:
            self._folder.update(
                state=State.STARTING, pid=os.getpid(), started=_began(), sentence="", steps=self._steps()
            )
            work(self._folder, self._tell, self._stopped)
        except AppError as error:
            traceback.print_exc()
            return State.FAILED, error.sentence
        except OSError as error:
            traceback.print_exc()
            return State.FAILED, self._disk(error)
        except Exception as error:  # noqa: BLE001 - whatever it was, who watches is told that it is over
            traceback.print_exc()
            return State.FAILED, self._memory(error) or self._fault(error)
        return (self._left() if self._saw else State.DONE), ""

    def _left(self) -> State:
        """Of a run that was told to end: a person did that, or the app that will go on with it."""
        paused = self._folder.pause.exists() and not self._folder.stop.exists()
        return State.QUEUED if paused else State.STOPPED

    def _steps(self) -> int:
        """How many there will be, about: its trainer knows better."""
        from vlm_app.finetune.estimate import steps

        return steps(self._folder.config, self._folder.data.train)

    def _tell(self, event: Event) -> None:
        self._folder.append(event)
        if isinstance(event, Stepped):
            steps = event.steps or self._folder.status.steps
            self._folder.update(state=State.TRAINING, step=event.step, steps=steps)
        if isinstance(event, Answered):
            self._folder.update(state=State.SCORING, answered=event.done, to_answer=event.of)

    def _stopped(self) -> bool:
        self._saw = self._saw or self._stopping.is_set() or self._folder.to_end
        return self._saw

    def _disk(self, error: OSError) -> str:
        if error.errno not in _FULL:
            return self._fault(error)
        import shutil

        free = in_words(shutil.disk_usage(self._folder.path).free)
        return (
            f"The disk is full: {free} are free where the run is kept, and its last checkpoint is whole; "
            "make room and resume it."
        )

    def _memory(self, error: Exception) -> str:
        """What to do where memory ran out; else nothing."""
        from vlm_app.engine.loading import out_of_memory

        if not out_of_memory(error):
            return ""
        if self._folder.status.state is State.SCORING:
            return "Memory ran out while it was compared; what it learned is kept: free some, and resume it."
        return (
            "Memory ran out while it trained: choose a smaller batch, fewer pixels or gradient "
            "checkpointing, and start it again."
        )

    @staticmethod
    def _fault(error: Exception) -> str:
        kind = type(error).__name__
        return f"Training ended by a fault in the app ({kind}): the run's child.log has the details."


def _train(folder: RunFolder, tell: Callable[[Event], None], stopped: Callable[[], bool]) -> object:
    from vlm_app.finetune.training import train

    return train(folder, tell, stopped)


def _everything(folder: RunFolder, tell: Callable[[Event], None], stopped: Callable[[], bool]) -> None:
    """Train, see whether it helped, and keep the adapter. What is done already stays."""
    from vlm_app.finetune.adapters import keep
    from vlm_app.finetune.training import train

    loaded = train(folder, tell, stopped)
    if loaded is None:
        return
    from vlm_app.finetune.training.examining import examine

    if examine(folder, loaded, tell, stopped):
        keep(folder, folder.path.absolute().parent.parent)


def _began() -> float:
    import psutil

    return float(psutil.Process().create_time())


def _bound(log: Path) -> None:
    """Keeps a log that is appended to from growing for ever: of a long one its end stays."""
    while True:
        time.sleep(_LOOK_SECONDS)
        try:
            if log.stat().st_size > LOG_BYTES:
                shorten(log)
        except OSError:  # no log, or no disk: it is not what the run is for
            logging.getLogger(__name__).debug("The log could not be shortened", exc_info=True)


def shorten(log: Path) -> None:
    """Leaves the last half of what a log may have. Whoever appends to it goes on at its new end."""
    with log.open("r+b") as file:
        file.seek(-LOG_BYTES // 2, os.SEEK_END)
        rest = file.read()
        file.truncate(0)
    with log.open("ab") as file:
        file.write(rest[rest.find(b"\n") + 1 :])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
