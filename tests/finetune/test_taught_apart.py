"""The real trainer in a process of its own: killed, on a full disk, and on two processes."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.runs import example, folder
from tests.finetune.teaching import QUIET
from vlm_app.errors import BadInput
from vlm_app.finetune import child, processes
from vlm_app.finetune.events import Saved, State, Stepped
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.finetune.training import checkpoints, train
from vlm_app.settings import ROOT
from vlm_app.store.images import ImageFolder

pytestmark = [pytest.mark.filterwarnings(line) for line in QUIET]
SOON = 300.0  # seconds: torch is imported on two cores that others use as well


def taught(path: Path, **settings: Any) -> RunFolder:
    """A run of Pebble on six pictures, which trains in a moment and holds nothing out."""
    usual = {"precision": "fp32", "batch": 1, "rank": 8, "warmup": 0.0, "schedule": "constant"}
    made = folder(path / "runs" / "one", **(usual | settings))
    images = ImageFolder(path / "images")
    several = [example(number) for number in range(6)]
    for each in several:
        images.write(each.pictures[0])
    made.write_examples("train", several, images)
    made.write_examples("held_out", [], images)
    return made


def losses(run: RunFolder) -> list[tuple[int, float]]:
    return [(event.step, event.loss) for event in run.events()[0] if isinstance(event, Stepped)]


def saved(run: RunFolder) -> list[int]:
    return [event.step for event in run.events()[0] if isinstance(event, Saved)]


@pytest.fixture
def started() -> Iterator[Callable[[RunFolder], subprocess.Popen[bytes]]]:
    """Starts the process of a run, and ends it with the test."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(run: RunFolder) -> subprocess.Popen[bytes]:
        process = processes.spawn(run)
        assert process
        begun.append(process)
        return process

    yield start
    for process in begun:
        process.kill()
        process.wait()


def wait(run: RunFolder, process: subprocess.Popen[bytes], true: Callable[[], bool]) -> None:
    until = time.monotonic() + SOON
    while not true():
        assert process.poll() is None and time.monotonic() < until, run.log.read_text()[-2000:]
        time.sleep(0.02)


@pytest.mark.timeout(900)
def test_kill_9_and_a_full_disk_cost_the_steps_since_the_last_checkpoint(
    tmp_path: Path, started: Callable[[RunFolder], subprocess.Popen[bytes]]
) -> None:
    run = taught(tmp_path, steps=100_000, save_every=3)
    process = started(run)
    wait(run, process, lambda: len(losses(run)) >= 5)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert processes.standing(run).state is State.BROKEN
    told = losses(run)
    whole = checkpoints.last(run.checkpoints)
    assert whole is not None and told[-1][0] - checkpoints.step(whole) <= 3

    process = started(run)
    wait(run, process, lambda: len(losses(run)) >= len(told) + 4)
    again = losses(run)[len(told) :]
    assert again[0][0] == checkpoints.step(whole) + 1
    before, after = dict(told), dict(again)
    same = before.keys() & after.keys()
    assert [after[step] for step in same] == pytest.approx([before[step] for step in same], abs=1e-3)

    weights = checkpoints.last(run.checkpoints)
    assert weights is not None
    size = (weights / "adapter_model.safetensors").stat().st_size
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size * 3 // 2, size * 3 // 2))
    assert process.wait(SOON) == 1
    now = processes.standing(run)
    assert now.state is State.FAILED and "The disk is full" in now.sentence and "resume" in now.sentence
    last = checkpoints.last(run.checkpoints)
    assert last is not None and checkpoints.step(last) == saved(run)[-1]
    assert losses(run)[-1][0] - saved(run)[-1] <= 3
    assert len(list(run.checkpoints.iterdir())) <= 2


@pytest.mark.timeout(900)
def test_two_processes_teach_one_adapter_as_one_process_with_twice_the_batch_does(tmp_path: Path) -> None:
    alone = taught(tmp_path / "alone", steps=4, batch=2)
    train(alone, alone.append, lambda: False)
    run = taught(tmp_path / "both", steps=4, batch=1)
    # With --cpu it would start one process; without a GPU --multi_gpu starts two that share the CPU.
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"]
    command += ["--main_process_port", "0", "-m", "vlm_app.finetune.child", str(run.path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SOON)
    assert done.returncode == 0, done.stderr[-2000:]
    assert processes.standing(run).state is State.DONE
    found, wanted = losses(run), losses(alone)
    assert [step for step, _ in found] == [1, 2, 3, 4]  # each is told once
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in wanted], abs=1e-3)
    assert (run.adapter / "adapter_model.safetensors").is_file()


@pytest.mark.parametrize("name", ["config.json", "data.json", "status.json"])
def test_the_folder_of_another_version_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    run = taught(tmp_path, steps=2)
    run.update(state=State.QUEUED)
    text = (
        (run.path / name)
        .read_text()
        .replace('"version": 1', '"version": 7')
        .replace('"version":1', '"version":7')
    )
    (run.path / name).write_text(text)
    if name == "status.json":  # there is nowhere to say it
        with pytest.raises(BadInput, match="version 7, and this app reads version 1"):
            child.main(run.path)
    else:
        assert child.main(run.path) == 1
        assert "version 7, and this app reads version 1" in run.status.sentence
    assert (run.path / name).read_text() == text
    assert not run.checkpoints.exists() and not run.adapter.exists()
