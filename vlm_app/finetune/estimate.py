"""What a run will take, before it starts: memory, and how many steps. How long, its first steps tell."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from vlm_app import catalog, families
from vlm_app.engine.anatomy import build, element
from vlm_app.engine.devices import devices
from vlm_app.engine.memory import estimate as estimate_answer
from vlm_app.engine.quantizing import best_precision
from vlm_app.engine.shapes import Shapes, shapes
from vlm_app.engine.slots import in_words
from vlm_app.engine.working import reserve, tokens_of
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.types import Checkpoint

_LEARNED = 16  # bytes of a parameter that learns: itself, its gradient and AdamW's two moments, in fp32
_MERGED = 4  # patches of an image that most connectors make one token of
_WORDS = 512  # tokens of question and answer
_LOSS = 8  # bytes of a logit on top of its own: its copy in fp32, and the gradient of that
_BACKWARD = 2  # blocks of a layer, attention and MLP, that keep what the gradient needs
_FAMILIAR = 0.01  # of the parameters, where nothing is known of their shapes: LoRA of rank 16


@dataclass(frozen=True, slots=True)
class Needs:
    """Bytes and steps of a run. `tokens` is the length of an example that was reckoned with.

    `learned` are the parameters that are trained, with their optimizer; `reserve` is what torch's
    allocator cannot hand out. Not `exact` where the shapes of the base are not known.
    """

    weights: int
    learned: int
    activations: int
    reserve: int
    steps: int
    tokens: int
    exact: bool = True

    @property
    def bytes(self) -> int:
        return self.weights + self.learned + self.activations + self.reserve

    @property
    def sentence(self) -> str:
        """For a person; how long it takes is said once its first steps were measured."""
        about = "" if self.exact else "about "
        parts = {"of weights": self.weights, "that learns": self.learned, "of activations": self.activations}
        listed = ", ".join(f"{in_words(count)} {what}" for what, count in parts.items())
        return f"{self.steps} step{'s' * (self.steps != 1)} in {about}{in_words(self.bytes)} ({listed})."


def steps(config: RunConfig, train: int) -> int:
    """Steps of a run on so many rows, in one process; 0 where there is none."""
    if config.steps is not None:
        return config.steps
    scenes = 0 if config.stage is Stage.PREFERENCE else config.rehearsal
    return math.ceil((config.epochs * train + scenes) / (config.batch * config.accumulation))


def needs(config: RunConfig, train: int, tokens: int | None = None) -> Needs:
    """What a run on so many rows takes; `tokens` of the longest one, where that is known.

    Raises `ModelUnavailable` for a base that is unknown, or has no such tower.
    """
    row = catalog.find(config.base)
    known, device = shapes(row), devices()[0].name.partition(":")[0]
    base = best_precision(device)
    precision = base if config.precision == "auto" else config.precision
    answer = estimate_answer(row, precision, pixels=config.pixels)
    weights = answer.weights if answer else 0
    if known is None:
        learned, activations, length = round(weights * _FAMILIAR) * _LEARNED, weights // 2, tokens or 0
    else:
        length = tokens or _tokens(row, known)
        learned = _learned(row, known, config) * _LEARNED
        activations = _activations(known, config, length, precision, base)
        if answer and "vision" not in config.towers:  # a frozen tower has let go before the rest begins
            activations = max(activations, answer.images * config.batch)
    kept = reserve(weights + learned + activations, device)
    return Needs(weights, learned, activations, kept, steps(config, train), length, known is not None)


def _tokens(row: Checkpoint, known: Shapes) -> int:
    most = tokens_of(row.context, known.anatomy.context)
    return min(most, known.image.patches // _MERGED + _WORDS)


def _activations(known: Shapes, config: RunConfig, tokens: int, precision: str, base: str) -> int:
    """What a step keeps for its gradients, of the language model and of what else learns."""
    body, size = known.anatomy, element(precision if precision in ("bf16", "fp16", "fp32") else base)
    rows = config.batch * (2 if config.stage is Stage.PREFERENCE else 1)
    layers = max(len(body.cache), 1)
    block = _BACKWARD * body.language.wide * size
    scores = body.language.heads * min(tokens, body.language.window or tokens) * size
    one = block + 2 * scores
    kept = layers * body.hidden * size + one if config.checkpointing else layers * one
    vision = _vision(known, config, size) if "vision" in config.towers else 0
    return rows * (tokens * (kept + body.vocabulary * (size + _LOSS)) + vision)


def _vision(known: Shapes, config: RunConfig, size: int) -> int:
    """What a vision tower that learns keeps of one example, of all its patches."""
    settings = build(known.folder).config.vision_config
    depth = getattr(settings, "num_hidden_layers", None) or getattr(settings, "depth", None) or 1
    one = _BACKWARD * known.anatomy.vision.wide
    kept = depth * getattr(settings, "hidden_size", 0) + one if config.checkpointing else depth * one
    return int(known.image.patches * kept * size)


def _learned(row: Checkpoint, known: Shapes, config: RunConfig) -> int:
    """How many parameters learn. A preference run keeps no second model: the base is its reference."""
    from vlm_app.finetune.training.towers import linear, pattern, tower

    model, family = build(known.folder), families.get(row.family)
    if config.stage is Stage.PROJECTOR and (path := tower(model, family, "connector")):
        if config.precision not in ("int8", "nf4"):
            return sum(each.numel() for each in model.get_submodule(path).parameters())
        return sum(_lora(model.get_submodule(name), config) for name in linear(model, path))
    towers = frozenset({"connector"}) if config.stage is Stage.PROJECTOR else config.towers
    wanted = re.compile(pattern(model, family, towers))
    return sum(_lora(module, config) for name, module in model.named_modules() if wanted.fullmatch(name))


def _lora(layer: Any, config: RunConfig) -> int:
    """Two matrices, and for DoRA the magnitude of each output (arXiv:2402.09353)."""
    into, out = int(layer.in_features), int(layer.out_features)
    return config.rank * (into + out) + (out if config.dora else 0)
