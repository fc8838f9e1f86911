"""The process that trains, as whoever started it meets it: with a trainer that only counts."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.finetune.runs import counting, folder
from vlm_app.finetune import child, processes
from vlm_app.finetune.events import Saved, State, Status, Stepped
from vlm_app.finetune.run_folder import RunFolder

STUB = ("-u", "-m", "tests.finetune.runs")
SOON = 60.0  # seconds: two cores that others use as well


def soon(true: Callable[[], object]) -> None:
    until = time.monotonic() + SOON
    while not true():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.02)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]]]:
    """Starts the process of a new run with these settings, or of the given one."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(run: RunFolder | None = None, **settings: object) -> tuple[RunFolder, subprocess.Popen[bytes]]:
        run = run or folder(tmp_path / "run", **settings)
        process = processes.spawn(run, STUB)
        assert process
        started.append(process)
        return run, process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def steps(run: RunFolder) -> list[int]:
    return [event.step for event in run.events()[0] if isinstance(event, Stepped)]


def test_a_run_comes_to_its_end(start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]]) -> None:
    run, process = start(steps=4, save_every=2)
    assert run.held and processes.standing(run).state in processes.ACTIVE
    assert process.wait(SOON) == 0
    now = processes.standing(run)
    assert (now.state, now.step, now.steps, now.pid) == (State.DONE, 4, 4, None)
    assert steps(run) == [1, 2, 3, 4] and run.adapter.is_dir() and not run.held
    assert b"training from 0" in run.log.read_bytes()


def test_sigterm_and_the_file_stop_end_it_with_a_checkpoint(
    start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]],
) -> None:
    run, process = start(steps=100_000, save_every=1000)
    soon(lambda: steps(run))
    process.terminate()
    assert process.wait(SOON) == 0 and processes.standing(run).state is State.STOPPED
    last = steps(run)[-1]
    assert Saved(step=last).step == [event for event in run.events()[0] if isinstance(event, Saved)][-1].step
    run, process = start(run)
    soon(lambda: len(steps(run)) > last)
    run.stop.touch()
    assert process.wait(SOON) == 0 and processes.standing(run).state is State.STOPPED
    assert steps(run)[last] == last + 1, "it went on from its checkpoint"


def test_kill_9_is_noticed_and_costs_the_steps_since_the_last_checkpoint(
    start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]],
) -> None:
    run, process = start(steps=100_000, save_every=5)
    soon(lambda: len(steps(run)) >= 7)
    process.kill()
    process.wait()
    broken = processes.standing(run)
    assert broken.state is State.BROKEN and "resume it" in broken.sentence
    saved = [event.step for event in run.events()[0] if isinstance(event, Saved)][-1]
    told = len(steps(run))
    run, process = start(run)
    soon(lambda: len(steps(run)) > told)
    assert steps(run)[told] == saved + 1


def test_a_second_process_leaves_at_once(
    start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]],
) -> None:
    run, _ = start(steps=100_000)
    soon(lambda: steps(run))
    assert processes.spawn(run, STUB) is None
    assert child.main(run.path, work=counting) == 0
    assert processes.standing(run).state is State.TRAINING


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Refused", "The moon is full: wait a day."),
        ("Crash", "Training ended by a fault in the app (KeyError): the run's child.log has the details."),
        (
            "Greedy",
            "Memory ran out while it trained: choose a smaller batch, fewer pixels or gradient "
            "checkpointing, and start it again.",
        ),
    ],
)
def test_what_went_wrong_is_told_and_the_log_has_its_place(
    start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]], name: str, sentence: str
) -> None:
    run, process = start(name=name, steps=10)
    assert process.wait(SOON) == 1
    now = processes.standing(run)
    assert (now.state, now.sentence, now.step) == (State.FAILED, sentence, 3)
    assert b"Traceback" in run.log.read_bytes() and b"counting" in run.log.read_bytes()


def test_memory_that_runs_out_after_it_was_taught_loses_nothing(tmp_path: Path) -> None:
    run = folder(tmp_path / "run")
    run.update(state=State.SCORING)
    sentence = child._Child(run)._memory(RuntimeError("CUDA error: out of memory"))
    assert sentence.endswith("what it learned is kept: free some, and resume it.")


def test_a_long_log_keeps_its_end(start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]]) -> None:
    run, _ = start(name="Noisy", steps=100_000)
    soon(lambda: steps(run))
    soon(lambda: run.log.stat().st_size <= child.LOG_BYTES)
    # What is kept is being written, maybe.
    soon(
        lambda: (
            run.log.read_bytes().endswith(b"training from 0\n") or b"word 199999\n" in run.log.read_bytes()
        )
    )


def test_a_full_disk_in_mid_checkpoint_leaves_the_last_one_whole(
    start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]],
) -> None:
    run, process = start(steps=100_000, save_every=10)
    soon(lambda: (run.checkpoints / "checkpoint-10").exists())
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (300_000, 300_000))  # a file finds no more room
    assert process.wait(SOON) == 1
    now = processes.standing(run)
    assert now.state is State.FAILED and "The disk is full" in now.sentence and "resume it" in now.sentence
    saved = [event.step for event in run.events()[0] if isinstance(event, Saved)]
    assert all(
        (run.checkpoints / f"checkpoint-{step}" / "weights").stat().st_size == 500_000 for step in saved
    )
    told = len(steps(run))
    run, _ = start(run)
    soon(lambda: len(steps(run)) > told)
    assert steps(run)[told] == saved[-1] + 1


def test_the_number_of_a_process_that_is_used_again_fools_nobody(tmp_path: Path) -> None:
    run, me = folder(tmp_path / "run"), psutil.Process()
    run.update(state=State.TRAINING, pid=me.pid, started=me.create_time() - 3600)
    assert processes.standing(run).state is State.BROKEN
    assert processes.living(run.status) is None and processes.taken(run.status) == 0
    assert processes.end(run, 1)  # and does not kill us
    mine = Status(state=State.TRAINING, pid=me.pid, started=me.create_time())
    assert processes.living(mine) is not None and processes.taken(mine) > 1_000_000


def test_of_several_processes_the_first_one_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = folder(tmp_path / "run", steps=2)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("STEP_SECONDS", "0")
    assert child.main(run.path, work=counting) == 0
    assert not run.begun and run.events() == ((), 0) and not run.held


def test_ctrl_c_in_the_terminal_of_the_app_does_not_reach_it(
    start: Callable[..., tuple[RunFolder, subprocess.Popen[bytes]]],
) -> None:
    _, process = start(steps=100_000)
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    assert os.getsid(process.pid) == process.pid
    os.killpg(process.pid, signal.SIGKILL)
