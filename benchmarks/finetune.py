"""Training against a plain TRL script: `python -m benchmarks.finetune [--examples N] [--epochs E]`.

Both teach Pebble's language model by LoRA, in fp32, with the same examples, batch and seed, each in a
process of its own: ours, and `SFTTrainer` with its default collator for images. Prints examples a
second of a core, the most memory, and the held-out loss of both adapters, measured alike; and the
share of the plain script's time that goes to reading pictures and to the encoder, with the speed that
follows from it where the encoder looks at each picture once. Both run on one core, and its seconds are
counted, so that a machine that others use as well says the same; they take turns, and the best counts.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vlm_app.catalog import find
from vlm_app.engine import LoadedModel
from vlm_app.engine.loading import load_checkpoint, peak_bytes
from vlm_app.finetune.examples import Example
from vlm_app.finetune.run_config import RunConfig
from vlm_app.media import picture_from
from vlm_app.pebble.world import draw_scene
from vlm_app.types import Box, Region, Task

BATCH, RATE, SEED, RANK = 8, 5e-4, 0, 16
_HELD_OUT = 24


def detections(number: int, stream: int) -> list[Example]:
    """Scenes with shapes, and all of them as the answer."""
    made = []
    for seed in range(number):
        scene = draw_scene(np.random.default_rng([stream, seed]), kind="shapes")
        regions = tuple(Region(thing.name, Box(*thing.box)) for thing in scene.things)
        words = ", ".join(region.label for region in regions)
        made.append(Example((picture_from(scene.image),), Task.DETECT, "", words, regions))
    return made


@dataclass
class Folder:
    """A run's folder, as training sees it."""

    path: Path
    config: RunConfig
    train: Sequence[Example]

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def adapter(self) -> Path:
        return self.path / "adapter"

    def examples(self, kind: str) -> Sequence[Example]:
        return self.train if kind == "train" else ()


def settings(epochs: int) -> RunConfig:
    return RunConfig(
        precision="fp32",
        rank=RANK,
        rate=RATE,
        epochs=epochs,
        batch=BATCH,
        warmup=0.0,
        seed=SEED,
        save_every=10**6,
    )


# --- the two ways -------------------------------------------------------------------------------


def ours(folder: Path, examples: Sequence[Example], epochs: int) -> dict[str, float]:
    """Seconds of training."""
    from vlm_app.finetune.training import course

    clock = Clock()
    course._teach = clock.around(course._teach)
    course.run(Folder(folder, settings(epochs), examples), lambda event: None, lambda: False)
    return {"seconds": clock.seconds, "wall": clock.wall}


def plain(folder: Path, examples: Sequence[Example], epochs: int) -> dict[str, float]:
    """Seconds of training, as TRL's documentation writes such a script, and the share of pictures."""
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    loaded = load_checkpoint(find("pebble"), "fp32")
    trainer = SFTTrainer(
        model=loaded.model,
        args=SFTConfig(
            output_dir=str(folder / "checkpoints"),
            num_train_epochs=epochs,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            lr_scheduler_type="cosine",
            weight_decay=0.0,
            activation_checkpointing=False,
            bf16=False,
            use_cpu=loaded.device == "cpu",
            seed=SEED,
            max_length=None,
            save_strategy="no",
            logging_steps=1,
            disable_tqdm=True,
            report_to=[],
        ),
        train_dataset=Dataset.from_list([conversation(loaded, each) for each in examples]),
        processing_class=loaded.processor,
        peft_config=LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=r"model\.text_model\..*_proj"),
    )
    looking = Clock()
    trainer.get_batch_samples = looking.around(trainer.get_batch_samples)
    encoder = loaded.model.get_submodule("model.vision_model")
    encoder.forward = looking.around(encoder.forward)
    whole = Clock()
    whole.around(trainer.train)()
    trainer.save_model(str(folder / "adapter"))
    return {"seconds": whole.seconds, "wall": whole.wall, "share": looking.seconds / whole.seconds}


class Clock:
    """Adds up the seconds of calls, on the core that they take and by the clock on the wall."""

    def __init__(self) -> None:
        self.seconds = self.wall = 0.0

    def around(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*given: Any, **options: Any) -> Any:
            began, then = time.process_time(), time.monotonic()
            try:
                return call(*given, **options)
            finally:
                self.seconds += time.process_time() - began
                self.wall += time.monotonic() - then

        return timed


def conversation(loaded: LoadedModel, example: Example) -> dict[str, Any]:
    """A row as TRL's documentation has it."""
    from vlm_app.finetune.writing import written

    made = written(example, loaded.family)
    asked = [{"type": "image"}, {"type": "text", "text": made.turns[-1].text}]
    return {
        "images": [picture.pixels for picture in example.pictures],
        "prompt": [{"role": "user", "content": asked}],
        "completion": [{"role": "assistant", "content": [{"type": "text", "text": made.answer}]}],
    }


def one(way: str, folder: Path, examples: int, epochs: int) -> dict[str, float]:
    """What one of them takes, in this process."""
    import torch

    torch.set_num_threads(1)
    rows = detections(examples, 11)
    found = {"ours": ours, "plain": plain}[way](folder, rows, epochs)
    return found | {"examples_per_second": examples * epochs / found["seconds"], "bytes": peak_bytes("cpu")}


# --- what is compared ---------------------------------------------------------------------------


def held_out_loss(adapter: Path) -> float:
    """The mean loss of a token of the held-out answers."""
    import torch
    from peft import PeftModel

    from vlm_app.finetune.training.lessons import lesson

    loaded = load_checkpoint(find("pebble"), "fp32")
    model = PeftModel.from_pretrained(loaded.model, adapter).eval()
    total = tokens = 0.0
    for each in detections(_HELD_OUT, 12):
        row = lesson(loaded, each, None).encode()
        count = int((row["labels"] >= 0).sum())
        with torch.no_grad():
            total += float(model(**row).loss) * count
        tokens += count
    return total / tokens


def aim(share: float, epochs: int) -> float:
    """How many times as fast training is that looks at each picture once, less a tenth."""
    return 0.9 * epochs / (epochs - share * (epochs - 1))


def measured(examples: int, epochs: int, rounds: int) -> dict[str, Any]:
    """Both ways in turns, the best of each."""
    runs: dict[str, list[dict[str, float]]] = {"plain": [], "ours": []}
    for _ in range(rounds):
        for way, done in runs.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "benchmarks.finetune", "--one", way, "--folder", folder]
                command += ["--examples", str(examples), "--epochs", str(epochs)]
                out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
                done.append(json.loads(out.splitlines()[-1]))
                if len(done) == 1:
                    loss = held_out_loss(Path(folder) / "adapter")
                done[-1]["held_out_loss"] = loss
    best = {way: min(done, key=lambda each: each["seconds"]) for way, done in runs.items()}
    for way, done in runs.items():
        best[way]["bytes"] = min(each["bytes"] for each in done)
        best[way]["wall"] = min(each["wall"] for each in done)
    s = best["plain"].pop("share")
    times = best["ours"]["examples_per_second"] / best["plain"]["examples_per_second"]
    machine = platform.processor() or platform.machine()
    return {
        "machine": machine,
        "examples": examples,
        "epochs": epochs,
        **best,
        "share": s,
        "aim": aim(s, epochs),
        "times": times,
        "times_by_the_wall": best["plain"]["wall"] / best["ours"]["wall"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.folder, given.examples, given.epochs)))
        return
    found = measured(given.examples, given.epochs, given.rounds)
    for way in ("plain", "ours"):
        row = found[way]
        print(
            f"{way:6} {row['examples_per_second']:6.2f} examples/s  {row['bytes'] / 1e6:6.0f} MB  "
            f"held-out loss {row['held_out_loss']:.4f}"
        )
    print(
        f"ours is {found['times']:.2f} times as fast, {found['times_by_the_wall']:.2f} times by the clock on "
        f"the wall; pictures are {found['share']:.0%} of a plain step, "
        f"aim {found['aim']:.2f}"
    )
    given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
