"""Runs for tests: examples on drawn pictures, and a trainer that only counts its steps."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from vlm_app.errors import ModelUnavailable
from vlm_app.finetune.events import Event, Saved, Stepped
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import Data, RunFolder
from vlm_app.media import picture_from
from vlm_app.types import Box, Region, Task

MB = 1_000_000


def example(number: int, label: str = "red circle") -> Example:
    """One thing on a picture of its own colour."""
    picture = picture_from(Image.new("RGB", (60, 40), (number * 37 % 256, number * 91 % 256, 80)))
    region = Region(label, Box(0.1, 0.2, 0.3, 0.4), span=(0, len(label)))
    return Example((picture,), Task.DETECT, label, label, (region,))


def folder(path: Path, **settings: object) -> RunFolder:
    """A run's folder without examples."""
    path.mkdir(parents=True)
    made = RunFolder(path)
    made.write_config(RunConfig.model_validate(settings))
    made.write_data(Data(name="Shapes", train=8, held_out=2))
    return made


def save(path: Path) -> None:
    """A checkpoint of half a megabyte, whole or not there."""
    part = path.with_name(f".{path.name}")
    shutil.rmtree(part, ignore_errors=True)  # of one that was killed while it wrote
    part.mkdir(parents=True)
    (part / "weights").write_bytes(b"w" * 500_000)
    part.rename(path)


def counting(folder: RunFolder, tell: Callable[[Event], None], stopped: Callable[[], bool]) -> None:
    """Counts its steps, each as long as `STEP_SECONDS` says, and writes checkpoints like a trainer."""
    pause = float(os.environ.get("STEP_SECONDS", "0.02"))
    done = [int(each.name.partition("-")[2]) for each in folder.checkpoints.glob("checkpoint-*")]
    step, last = max(done, default=0), folder.config.steps or 10
    print("training from", step, flush=True)
    if folder.config.name == "Noisy":
        for number in range(200_000):
            print("word", number)
    while step < last:
        time.sleep(pause)
        if folder.config.name == "Crash" and step == 3:
            raise KeyError("q_proj")
        if folder.config.name == "Greedy" and step == 3:
            raise MemoryError
        if folder.config.name == "Refused" and step == 3:
            raise ModelUnavailable("The moon is full: wait a day.")
        step += 1
        tell(Stepped(step=step, epoch=0.0, loss=1 / step, rate=1e-4, memory=MB, examples_per_second=1.0))
        ending = stopped()
        if step % folder.config.save_every == 0 or ending:
            save(folder.checkpoints / f"checkpoint-{step}")
            tell(Saved(step=step))
        if ending:
            return
    folder.adapter.mkdir(exist_ok=True)
    (folder.adapter / "adapter_config.json").write_text("{}")


if __name__ == "__main__":  # the child of the tests, in a process of its own
    from vlm_app.finetune import child

    sys.exit(child.main(Path(sys.argv[1]), work=counting))
