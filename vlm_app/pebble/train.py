"""Pebble's recipe: `python -m vlm_app.pebble.train --out FOLDER`, resumed by the same command.

Imports torch, transformers, numpy, Pillow and matplotlib only, so that it runs as it is on
any machine with a GPU. `--init-from WEIGHTS` starts from a saved model with a fresh
optimizer.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import shutil
import signal
import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import SmolVLMProcessor

from vlm_app.pebble.batches import Batch, Batches
from vlm_app.pebble.card import fill, processor
from vlm_app.pebble.losses import DenseHead, answer_loss, chosen, lens_loss
from vlm_app.pebble.markup import LOCATIONS
from vlm_app.pebble.model import build_model
from vlm_app.pebble.processor import build_processor

TRAINING_STREAM = 1  # seeds of training scenes; evaluation draws from stream 2
_WARMUP = 300  # steps


@dataclass(frozen=True)
class Plan:
    """How long and how fast: `images` in all, learning rate down to zero over the last `decay` of them."""

    images: int = 400_000
    batch: int = 16
    questions: int = 14
    rate: float = 2e-3
    decay: float = 0.25
    dense: float = 1.0
    lens: float = 0.3

    def rate_at(self, images: int) -> float:
        """The learning rate after so many images: a short rise, a long plateau, a straight fall."""
        rise = min(1.0, (images / self.batch + 1) / _WARMUP)
        fall = min(1.0, (self.images - images) / (self.decay * self.images))
        return self.rate * rise * max(0.02, fall)


class Worker:
    """Copies of the model and its head in bf16 that do the computing; the weights in fp32 learn.

    On a CPU this is twice as fast as autocast, which casts every weight at every use.
    """

    def __init__(self, model: nn.Module, head: DenseHead) -> None:
        rotary = model.model.text_model.rotary_emb.inv_freq
        self.model, self.head = (
            copy.deepcopy(model).to(torch.bfloat16),
            copy.deepcopy(head).to(torch.bfloat16),
        )
        self.model.model.text_model.rotary_emb.inv_freq = rotary  # angles need fp32
        self._from = [*model.parameters(), *head.parameters()]
        self._to = [*self.model.parameters(), *self.head.parameters()]
        if shutil.which("c++"):
            core = self.model.model
            core.vision_model.compile(dynamic=False)
            core.text_model.compile(dynamic=False)

    def hand_over_gradients(self) -> None:
        """Move the gradients to the fp32 weights."""
        for slow, fast in zip(self._from, self._to, strict=True):
            slow.grad = None if fast.grad is None else fast.grad.float()
            fast.grad = None

    def take_weights(self) -> None:
        """Copy the fp32 weights over."""
        with torch.no_grad():
            torch._foreach_copy_(self._to, self._from)


class Learner:
    """The model, its dense head, its two optimizers and how many images they have seen."""

    def __init__(self, plan: Plan, out: Path, init_from: Path | None) -> None:
        self.plan, self.out = plan, out
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(0)
        self.processor = _processor(out, init_from)
        self.model = build_model(self.processor.tokenizer)
        if init_from is not None:
            self.model = type(self.model).from_pretrained(init_from, dtype=torch.float32)
        self.model.to(self.device).train()
        self.head = DenseHead(self.model.config.vision_config.hidden_size).to(self.device)
        self._worker = Worker(self.model, self.head)
        self.first_location = self.processor.tokenizer.convert_tokens_to_ids(LOCATIONS[0])
        self.optimizers = _optimizers(self.model, self.head, plan.rate)
        self.images = 0
        self._checkpoint = out / "checkpoint.pt"
        if self._checkpoint.exists():
            self._restore()

    def step(self, batch: Batch) -> dict[str, float]:
        """One step on a batch; returns the losses."""
        batch = {key: value.to(self.device, non_blocking=True) for key, value in batch.items()}
        rate = self.plan.rate_at(self.images)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate
        words, dense, lens = self._losses(batch)
        (words + self.plan.dense * dense + self.plan.lens * lens).backward()
        self._worker.hand_over_gradients()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self._worker.take_weights()
        self.images += len(batch["ids"])
        return {"words": words.item(), "dense": dense.item(), "lens": lens.item(), "rate": rate}

    def _losses(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        core, head = self._worker.model.model, self._worker.head
        features = core.vision_model(batch["pixels"].to(torch.bfloat16)).last_hidden_state
        dense = head.loss(features, batch)
        embeds = core.text_model.embed_tokens(batch["ids"])
        visual = core.connector(features)
        dense = dense + head.spelling_loss(visual, batch)
        lens = lens_loss(self._worker.model.lm_head(visual), batch["lens"])
        places = (batch["ids"] == self.model.config.image_token_id)[..., None].expand_as(embeds)
        hidden = core.text_model(
            inputs_embeds=embeds.masked_scatter(places, visual),
            attention_mask=batch["mask"],
            position_ids=batch["positions"],
            use_cache=False,
        ).last_hidden_state
        where = chosen(batch["labels"])
        logits = self._worker.model.lm_head(hidden[:, :-1][where])
        labels, weights = batch["labels"][:, 1:][where], batch["weights"][:, 1:][where]
        return answer_loss(logits, labels, weights, self.first_location), dense, lens

    def save(self) -> None:
        """A checkpoint to resume from, written beside the old one and then put in its place."""
        state = {
            "model": self.model.state_dict(),
            "head": self.head.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "images": self.images,
        }
        fresh = self._checkpoint.with_suffix(".new")
        torch.save(state, fresh)
        os.replace(fresh, self._checkpoint)

    def _restore(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.head.load_state_dict(state["head"])
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.images = state["images"]
        self._worker.take_weights()

    def export(self, folder: Path) -> None:
        """The model in bf16 with its processor, in shards under 10 MB, as any checkpoint is kept."""
        model = build_model(self.processor.tokenizer)
        model.load_state_dict(self.model.state_dict())
        model.to(torch.bfloat16).save_pretrained(folder, max_shard_size="9MB")
        self.processor.save_pretrained(folder)
        if (folder / "README.md").exists():
            fill(folder / "README.md", "run", self._history())

    def _history(self) -> str:
        """How long these weights have learned, from the log: its minutes begin anew at each start."""
        lines = [json.loads(line) for line in (self.out / "log.jsonl").read_text().splitlines()]
        starts = [one for one, other in pairwise(lines) if other["minutes"] < one["minutes"]]
        minutes = sum(line["minutes"] for line in [*starts, *lines[-1:]])
        where = torch.cuda.get_device_name() if self.device == "cuda" else processor()
        steps = self.images // self.plan.batch
        return f"{self.images:,} images in {steps:,} steps and {minutes / 60:.1f} hours on {where}."


def _processor(out: Path, init_from: Path | None) -> SmolVLMProcessor:
    """The one that the weights know: of this run, of the weights to start from, or a new one.

    The tokenizer is made from the questions, so that another wording gives other tokens.
    """
    kept = out / "processor"
    if kept.exists():
        return SmolVLMProcessor.from_pretrained(kept)
    processor = SmolVLMProcessor.from_pretrained(init_from) if init_from else build_processor()
    processor.save_pretrained(kept)
    return processor


def _optimizers(model: nn.Module, head: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the two towers and the connector, AdamW for everything else."""
    matrices: list[Tensor] = []
    others: list[Tensor] = list(head.parameters())
    for name, parameter in model.named_parameters():
        inner = parameter.ndim == 2 and "embed" not in name and "lm_head" not in name
        (matrices if inner else others).append(parameter)
    return [
        torch.optim.Muon(matrices, lr=rate, weight_decay=0.02, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=rate, weight_decay=0.0, betas=(0.9, 0.98)),
    ]


def train(learner: Learner, minutes: float, workers: int) -> None:
    """Train until the plan's images or the minutes are over; log each 50 steps, save each 5 minutes.

    SIGTERM ends it as the minutes do: with a checkpoint.
    """
    ended = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: ended.set())
    plan = learner.plan
    data = Batches(learner.processor.tokenizer, plan.batch, learner.images, TRAINING_STREAM, plan.questions)
    loader = DataLoader(data, batch_size=None, num_workers=workers, prefetch_factor=3 if workers else None)
    begun, saved, seen = time.monotonic(), time.monotonic(), learner.images
    sums: dict[str, float] = {}
    for number, batch in enumerate(loader, start=1):
        for key, value in learner.step(batch).items():
            sums[key] = sums.get(key, 0.0) + value / 50
        if number % 50 == 0:
            now = time.monotonic()
            line = {"images": learner.images, "minutes": round((now - begun) / 60, 1), **sums}
            line["images_per_second"] = (learner.images - seen) / (now - begun)
            _log(learner.out, line)
            sums = {}
        over = ended.is_set() or time.monotonic() - begun > 60 * minutes
        done = learner.images >= plan.images or over
        if done or time.monotonic() - saved > 300:
            learner.save()
            saved = time.monotonic()
        if done:
            signal.signal(signal.SIGTERM, before)
            return


def _log(out: Path, line: dict[str, float]) -> None:
    text = json.dumps({key: round(value, 5) for key, value in line.items()})
    print(text, flush=True)
    with (out / "log.jsonl").open("a") as log:
        log.write(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train Pebble on its toy world.")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the log")
    parser.add_argument("--export", type=Path, help="folder for the finished model, such as models/pebble")
    parser.add_argument("--init-from", type=Path, help="saved model to start from, with a fresh optimizer")
    parser.add_argument("--images", type=int, default=Plan.images, help="images in all")
    parser.add_argument("--batch", type=int, default=Plan.batch, help="images a step")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="highest learning rate")
    parser.add_argument(
        "--decay", type=float, default=Plan.decay, help="share of the images with a falling rate"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop (and save) after so long")
    parser.add_argument("--workers", type=int, default=1, help="processes that draw scenes")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    plan = Plan(images=args.images, batch=args.batch, rate=args.rate, decay=args.decay)
    learner = Learner(plan, args.out, args.init_from)
    if learner.images < plan.images:
        train(learner, args.minutes, args.workers)
    if args.export:
        learner.export(args.export)


if __name__ == "__main__":
    main()
