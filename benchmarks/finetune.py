"""Training against a plain TRL script: `python -m benchmarks.finetune [--examples N] [--epochs E]`.

Both teach Pebble's language model by LoRA, in fp32, with the same examples, batch and seed, each in a
process of its own: ours, and `SFTTrainer` with its default collator for images. Prints examples a
second, the most memory, and the held-out loss of both adapters, measured alike; and the share of a
step that goes to image processing and the encoder, with the speed that follows from it where the
encoder looks at each picture once.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
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


def ours(folder: Path, examples: Sequence[Example], epochs: int) -> float:
    """Seconds of training."""
    from vlm_app.finetune.training import course

    seconds: list[float] = []
    teach = course._teach

    def timed(*given: Any) -> None:
        began = time.monotonic()
        teach(*given)
        seconds.append(time.monotonic() - began)

    course._teach = timed
    course.run(Folder(folder, settings(epochs), examples), lambda event: None, lambda: False)
    return seconds[0]


def plain(folder: Path, examples: Sequence[Example], epochs: int) -> float:
    """Seconds of training, as TRL's documentation writes such a script."""
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
    began = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - began
    trainer.save_model(str(folder / "adapter"))
    return seconds


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
    rows = detections(examples, 11)
    seconds = {"ours": ours, "plain": plain}[way](folder, rows, epochs)
    return {
        "seconds": seconds,
        "examples_per_second": examples * epochs / seconds,
        "bytes": peak_bytes("cpu"),
    }


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


def share(examples: int) -> float:
    """The share of a plain step that goes to image processing and the encoder: medians of some batches."""
    import torch

    from vlm_app.finetune.training.collating import together
    from vlm_app.finetune.training.lessons import lesson

    loaded = load_checkpoint(find("pebble"), "fp32")
    model = loaded.model
    for name, parameter in model.named_parameters():
        parameter.requires_grad_("text_model.layers" in name)
    rows = [lesson(loaded, each, None) for each in detections(min(examples, 5 * BATCH), 11)]
    looking, whole = [], []
    for start in range(0, len(rows) - BATCH + 1, BATCH):
        began = time.monotonic()
        batch = together([row.encode() for row in rows[start : start + BATCH]], 0)
        with torch.no_grad():
            model.get_submodule("model.vision_model")(batch["pixel_values"].flatten(0, 1))
        looked = time.monotonic() - began
        began = time.monotonic()
        batch = together([row.encode() for row in rows[start : start + BATCH]], 0)
        model(**batch).loss.backward()
        looking.append(looked)
        whole.append(time.monotonic() - began)
    return float(np.median(looking) / np.median(whole))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    parser.add_argument("--one", choices=("ours", "plain"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(one(given.one, given.folder, given.examples, given.epochs)))
        return
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine()}
    with tempfile.TemporaryDirectory() as folder:
        for way in ("plain", "ours"):
            place = Path(folder) / way
            place.mkdir()
            command = [sys.executable, "-m", "benchmarks.finetune", "--one", way, "--folder", str(place)]
            command += ["--examples", str(given.examples), "--epochs", str(given.epochs)]
            out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found[way] = json.loads(out.splitlines()[-1])
            found[way]["held_out_loss"] = held_out_loss(place / "adapter")
    s, epochs = share(given.examples), given.epochs
    found["share"] = s
    found["aim"] = 0.9 * epochs / (epochs - s * (epochs - 1))
    found["times"] = found["ours"]["examples_per_second"] / found["plain"]["examples_per_second"]
    for way in ("plain", "ours"):
        row = found[way]
        print(
            f"{way:6} {row['examples_per_second']:6.2f} examples/s  {row['bytes'] / 1e6:6.0f} MB  "
            f"held-out loss {row['held_out_loss']:.4f}"
        )
    print(f"ours is {found['times']:.2f} times as fast; images are {s:.0%} of a step, aim {found['aim']:.2f}")
    given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
