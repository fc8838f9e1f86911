"""Runs for tests: examples on drawn pictures, and a trainer that only counts its steps."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from vlm_app.finetune.events import Event, Saved, Stepped
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.run_folder import RunFolder
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
    return made


def counting(folder: RunFolder, tell: Callable[[Event], None], stopped: Callable[[], bool]) -> None:
    """Counts its steps, each as long as `STEP_SECONDS` says, and writes checkpoints like a trainer."""
    pause = float(os.environ.get("STEP_SECONDS", "0.02"))
    done = [int(each.name.partition("-")[2]) for each in folder.checkpoints.glob("checkpoint-*")]
    step, last = max(done, default=0), folder.config.steps or 10
    print("training from", step, flush=True)
    while step < last:
        time.sleep(pause)
        step += 1
        tell(Stepped(step=step, epoch=0.0, loss=1 / step, rate=1e-4, memory=MB, examples_per_second=1.0))
        if step % folder.config.save_every == 0 or stopped():
            (folder.checkpoints / f"checkpoint-{step}").mkdir(parents=True)
            tell(Saved(step=step))
        if stopped():
            return
    folder.adapter.mkdir(exist_ok=True)
    (folder.adapter / "adapter_config.json").write_text("{}")


if __name__ == "__main__":  # the child of the tests, in a process of its own
    from vlm_app.finetune import child

    sys.exit(child.main(Path(sys.argv[1]), train=counting))
