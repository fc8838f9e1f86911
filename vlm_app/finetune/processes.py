"""The processes that train: starting one, whether it lives, and ending it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

from vlm_app.finetune.events import State, Status
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.settings import ROOT

CHILD = ("-u", "-m", "vlm_app.finetune.child")
ACTIVE = (State.STARTING, State.TRAINING, State.SCORING)
RESUMABLE = (State.STOPPED, State.BROKEN, State.FAILED)
_BROKEN = "Its process ended without a word: resume it from its last checkpoint."
_SAME = 0.02  # seconds by which the system's word for when a process began may differ


def spawn(folder: RunFolder, child: Sequence[str] = CHILD) -> subprocess.Popen[bytes] | None:
    """Start the process of a run, in a session of its own, so that it outlives this one.

    `child` are the arguments of Python, to which the folder is added. None where one trains there
    already. Raises `OSError`.
    """
    with folder.holding() as lock, folder.log.open("ab") as log:
        if lock is None:
            return None
        folder.pause.unlink(missing_ok=True)
        folder.update(state=State.STARTING, pid=None, sentence="")
        return subprocess.Popen(
            [sys.executable, *child, str(folder.path.absolute())],
            cwd=ROOT,
            stdin=lock,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def living(status: Status) -> psutil.Process | None:
    """The process that a status names, if it is still that one: a pid is used again."""
    if status.pid is None:
        return None
    try:
        process = psutil.Process(status.pid)
        same = abs(process.create_time() - status.started) <= _SAME
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def standing(folder: RunFolder) -> Status:
    """How a run stands, also where nobody was left to write it down. Raises as `RunFolder.status` does."""
    status = folder.status
    if status.state is State.QUEUED and folder.stop.exists():
        return status.model_copy(update={"state": State.STOPPED, "sentence": ""})
    if status.state in ACTIVE and not folder.held:
        latest = folder.status  # it may have ended between the two looks
        if latest.state not in ACTIVE:
            return latest
        if folder.pause.exists():  # the machine went before it had its checkpoint
            return status.model_copy(update={"state": State.QUEUED, "pid": None, "sentence": ""})
        return status.model_copy(update={"state": State.BROKEN, "pid": None, "sentence": _BROKEN})
    return status


def taken(status: Status) -> int:
    """Bytes of main memory that the process of a run takes, with the processes that it started."""
    process, count = living(status), 0
    with suppress(psutil.Error):
        family = [process, *process.children(recursive=True)] if process else []
        count = sum(each.memory_info().rss for each in family)
    return count


def end(folder: RunFolder, seconds: float) -> bool:
    """End the process of a run now, without a checkpoint; whether it is gone after so many seconds.

    Raises as `RunFolder.status` does.
    """
    until = time.monotonic() + seconds
    while folder.held:
        status = folder.status
        if living(status) and status.pid:  # it has none before it said so
            with suppress(ProcessLookupError):
                os.killpg(status.pid, signal.SIGKILL)  # it leads a group of its own
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
