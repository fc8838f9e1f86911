"""The app with runs that only count: `python -m tests.browser.runs_app PORT`, and as their trainer
`python -m tests.browser.runs_app FOLDER`. A step takes `STEP_SECONDS`."""

from __future__ import annotations

import math
import os
import random
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image, ImageDraw

from vlm_app.errors import ModelUnavailable
from vlm_app.finetune.events import Answered, Evaluated, Event, Sampled, Saved, Stepped
from vlm_app.finetune.examples import Example, Reply, digest
from vlm_app.finetune.judging import Line, as_dict, write
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.grounding import region_to_dict
from vlm_app.media import picture_from
from vlm_app.types import Box, Region, Task

ROOT = Path(__file__).resolve().parents[2]
FAILS, NOTHING = "Fails", "Learns nothing"  # names of runs that end otherwise


def example(number: int) -> Example:
    """A heart on a picture of its own."""
    dice = random.Random(number)
    width, height = 320, 240
    image = Image.new("RGB", (width, height), (244, 241, 234))
    draw = ImageDraw.Draw(image)
    draw.rectangle((20, 180, 70 + number % 7 * 9, 220), fill=(90, 140, 200))
    x, y, side = dice.randint(30, 220), dice.randint(20, 110), dice.randint(36, 70)
    draw.pieslice((x, y, x + side / 2, y + side / 2), 180, 360, fill=(200, 60, 80))
    draw.pieslice((x + side / 2, y, x + side, y + side / 2), 180, 360, fill=(200, 60, 80))
    draw.polygon([(x, y + side / 4), (x + side, y + side / 4), (x + side / 2, y + side)], fill=(200, 60, 80))
    box = Box(x / width, y / height, (x + side) / width, (y + side) / height)
    region = Region("heart", box, span=(0, 5))
    return Example((picture_from(image),), Task.DETECT, "heart", "heart", (region,))


def guess(example: Example, skill: float) -> Reply:
    """An answer that is the nearer to the right one, the more was learned (0 to 1)."""
    right = example.regions[0].shape
    assert isinstance(right, Box)
    away = 0.25 * (1 - skill)
    box = Box(*(min(max(value + away, 0.0), 1.0) for value in right.xyxy))
    label = "heart" if skill > 0.3 else "red circle"
    return Reply(label, (Region(label, box, span=(0, len(label))),))


def teach(folder: RunFolder, tell: Callable[[Event], None], stopped: Callable[[], bool]) -> None:
    """Counts its steps, as many as there are to be, and says of each what a trainer would."""
    config, held = folder.config, folder.examples("held_out")
    pause = float(os.environ.get("STEP_SECONDS", "0.05"))
    done = [int(each.name.partition("-")[2]) for each in folder.checkpoints.glob("checkpoint-*")]
    last, dice = folder.status.steps, random.Random(config.seed)
    for step in range(max(done, default=0) + 1, last + 1):
        time.sleep(pause)
        skill = 0.0 if config.name == NOTHING else step / last
        loss = 2.5 * math.exp(-4 * skill) + 0.2 + dice.random() * 0.2
        rate = config.rate * (1 + math.cos(math.pi * step / last)) / 2
        tell(
            Stepped(
                step=step, epoch=config.epochs * step / last, loss=loss, rate=rate, memory=412_000_000 + step,
                examples_per_second=11 + dice.random(), seconds_left=(last - step) * pause,
            )
        )  # fmt: skip
        if config.name == FAILS and step == 5:
            print(f'  File "{ROOT}/secret/place.py", line 3')
            raise ModelUnavailable("The moon is full: wait a day.")
        if step % config.evaluate_every == 0:
            tell(Evaluated(step=step, loss=loss + 0.15, scores={"detect f1": skill}, best=True))
            for place in range(min(3, len(held))):
                answer = guess(held[place], skill)
                regions = [region_to_dict(each) for each in answer.regions]
                tell(Sampled(step=step, example=place, text=answer.text, regions=regions))
        if step % config.save_every == 0 or stopped():
            (folder.checkpoints / f"checkpoint-{step}").mkdir(parents=True, exist_ok=True)
            tell(Saved(step=step))
        if stopped():
            return
    for place, each in enumerate(held):
        before, after = (
            guess(each, 0.1),
            guess(each, 0.1 if config.name == NOTHING else 0.9 - 0.3 * (place == 1)),
        )
        write(folder, Line(example=place, key=digest(each), before=as_dict(before), after=as_dict(after)))
        tell(Answered(done=place + 1, of=len(held)))


def serve(port: int) -> None:
    """The app itself."""
    from vlm_app.chat import Chats
    from vlm_app.engine import engine
    from vlm_app.finetune import workshop
    from vlm_app.finetune.runs import Runs
    from vlm_app.settings import settings
    from vlm_app.store import Store
    from vlm_app.ui.serving import run

    workshop.Runs = partial(Runs, child=("-u", "-m", "tests.browser.runs_app"))
    store, models = Store(settings().data), engine()
    run(Chats(store, models), store, models, "127.0.0.1", port)


if __name__ == "__main__":
    if sys.argv[1].isdigit():
        serve(int(sys.argv[1]))
    else:
        from vlm_app.finetune import child

        sys.exit(child.main(Path(sys.argv[1]), teach))
