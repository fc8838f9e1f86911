"""The line of runs and the processes of the app: several at once, and killed in the middle."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from tests.finetune.app import STUB
from tests.finetune.desk import ME, Desk, desk
from tests.finetune.test_child import SOON, soon
from tests.finetune.test_runs import steps
from vlm_app.errors import BadInput
from vlm_app.finetune import locking, queue
from vlm_app.finetune.events import State, Status, Stepped
from vlm_app.finetune.processes import end, taken
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.finetune.runs import Run, Runs
from vlm_app.settings import ROOT

__all__ = ["desk"]


@pytest.fixture
def apps(desk: Desk) -> Iterator[list[subprocess.Popen[str]]]:
    """Two apps on the data folder of the desk, which itself looks after nothing."""
    desk.runs.close()
    command = [sys.executable, "-m", "tests.finetune.app", str(desk.store.data)]
    started = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for app in started:
        assert app.stdout and app.stdout.readline() == "ready\n"
    yield started
    for app in started:
        app.kill()
        app.wait(SOON)
        assert app.stdout
        app.stdout.close()


def times(run: Run) -> tuple[float, float]:
    """When its first and its last step were told."""
    told = [event.at for event in run.folder.events()[0] if isinstance(event, Stepped)]
    return told[0], told[-1]


def test_two_apps_on_one_folder_train_each_run_once_and_one_at_a_time(
    desk: Desk, apps: list[subprocess.Popen[str]]
) -> None:
    runs = [desk.start(name, steps=20) for name in ("One", "Two", "Three")]
    for run in runs:
        soon(lambda run=run: desk.state(run) is State.DONE)
        assert steps(run) == list(range(1, 21))
    assert times(runs[0])[1] < times(runs[1])[0] and times(runs[1])[1] < times(runs[2])[0]


def test_a_run_whose_app_ended_goes_on_by_itself_unless_a_person_stopped_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEP_SECONDS", "0.06")
    run, other = desk.start(steps=80, save_every=10), desk.start("Other", steps=3)
    soon(lambda: len(steps(run)) > 12)
    assert desk.runs.trains()
    assert not Runs(desk.store, desk.engine, STUB).trains(), "who did not see to it does not wait for it"
    desk.runs.pause()
    soon(lambda: not desk.runs.trains())
    assert desk.state(run) is State.QUEUED and len(steps(run)) < 80
    assert desk.state(other) is State.QUEUED and not steps(other), "nothing new began"

    desk.runs = Runs(desk.store, desk.engine, STUB)
    desk.runs.drive()
    told = len(steps(run))
    soon(lambda: len(steps(run)) > told)
    desk.runs.close()
    assert end(run.folder, 20)  # the machine went before it had a checkpoint
    assert desk.state(run) is State.BROKEN
    run.folder.pause.touch()
    assert desk.state(run) is State.QUEUED
    desk.runs.stop(ME, other.id)

    desk.runs = Runs(desk.store, desk.engine, STUB)
    desk.runs.drive()
    soon(lambda: desk.state(run) is State.DONE)
    assert desk.state(other) is State.STOPPED and not run.folder.pause.exists()


def test_a_run_that_is_resumed_just_as_it_is_seen_to_be_stopped_stays_in_the_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, resumed, look = Event(), Event(), queue.standing

    def standing(folder: RunFolder) -> Status:
        status = look(folder)
        if status.state is State.STOPPED and not seen.is_set():
            seen.set()
            assert resumed.wait(SOON)
        return status

    first, second = (desk.start(name, steps=100_000) for name in ("First", "Second"))
    soon(lambda: desk.state(first) is State.TRAINING)
    monkeypatch.setattr(queue, "standing", standing)
    desk.runs.stop(ME, second.id)
    assert seen.wait(SOON)
    desk.runs.resume(ME, second.id)
    resumed.set()
    desk.runs.stop(ME, first.id)
    soon(lambda: desk.state(second) is State.TRAINING)


def test_a_run_is_resumed_once_however_many_ask(desk: Desk) -> None:
    first, second = (desk.start(name, steps=100_000) for name in ("First", "Second"))
    soon(lambda: desk.state(first) is State.TRAINING)
    desk.runs.stop(ME, second.id)
    soon(lambda: second.folder.status.state is State.STOPPED)
    all_there, refused = Barrier(4), []

    def ask() -> None:
        all_there.wait(SOON)
        try:
            desk.runs.resume(ME, second.id)
        except BadInput as error:
            refused.append(error.sentence)

    threads = [Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert len(refused) == 3 and all("'Second' is queued" in each for each in refused)


def test_a_fault_of_the_disk_does_not_end_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    faults = iter([OSError(errno.EMFILE, "Too many open files")])

    def locked(path: Path) -> AbstractContextManager[object]:
        for fault in faults:
            raise fault
        return locking.locked(path)

    monkeypatch.setattr(queue, "locked", locked)
    line = queue.Queue(tmp_path, lambda *_: pytest.fail("nothing waits"))
    with caplog.at_level(logging.ERROR):
        line.start()
        soon(lambda: line._drove)
    line.close()
    assert "Too many open files" in caplog.text


def test_a_line_whose_thread_ended_is_looked_after_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = queue.Queue(tmp_path, lambda *_: pytest.fail("nothing waits"))
    with monkeypatch.context() as ended:
        ended.setattr(queue.Queue, "_drive", lambda self: None)
        line.start()
        assert line._thread
        line._thread.join(SOON)
    line.start()
    soon(lambda: line._drove)
    line.close()


def test_a_run_outlives_the_app_that_started_it_and_the_next_one_holds_its_memory(
    desk: Desk, apps: list[subprocess.Popen[str]]
) -> None:
    run, behind = desk.start(steps=100_000), desk.start("Behind", steps=3)
    soon(lambda: len(steps(run)) > 2)
    for app in apps:
        app.kill()
        app.wait(SOON)
    told = len(steps(run))
    soon(lambda: len(steps(run)) > told + 2)
    assert desk.state(run) is State.TRAINING and desk.state(behind) is State.QUEUED

    desk.runs = Runs(desk.store, desk.engine, STUB)
    desk.runs.drive()
    soon(lambda: desk.engine.models() and desk.engine.models()[0].bytes > 1_000_000)
    assert [state.name for state in desk.engine.models()] == ["training: Hearts"]
    assert taken(run.folder.status) > 1_000_000
    desk.runs.stop(ME, run.id)
    soon(lambda: desk.state(run) is State.STOPPED)
    soon(lambda: desk.state(behind) is State.DONE)
    soon(lambda: desk.engine.models() == ())
