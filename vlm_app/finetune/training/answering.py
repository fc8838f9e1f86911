"""What a model in training answers to held-out examples, as chat would ask it."""

from __future__ import annotations

import threading
from typing import Any

from vlm_app.engine.generation import Generation
from vlm_app.engine.loaded import LoadedModel
from vlm_app.finetune.asking import question
from vlm_app.finetune.examples import Example, Reply
from vlm_app.finetune.training.lessons import lesson
from vlm_app.types import Sampling

_LEAST, _MOST = 32, 512  # tokens of an answer


def answer(loaded: LoadedModel, example: Example, pixels: int | None) -> Reply:
    """The greedy answer, read by the family's parser. The model is put back as it was."""
    family, model = loaded.family, loaded.model
    asked = question(example, family)
    inputs, seen = family.encode(loaded.processor, asked.turns, task=asked.task, pixels=pixels)
    limit = _limit(loaded, example, pixels)
    training = model.training
    model.eval()
    try:
        raw = _generated(loaded, inputs, limit)
    finally:
        model.train(training)
    sizes = tuple(picture.size for picture in asked.pictures)
    parsed = family.parse(
        raw, image_size=sizes[-1], input_size=seen.size, asked=(asked.task, asked.query), images=sizes
    )
    return Reply(parsed.text, parsed.regions)


def likelihood(loaded: LoadedModel, example: Example, pixels: int | None, *, rejected: bool = False) -> float:
    """How likely the right answer is, or the wrong one: the log of its probability, in nats.

    The model is put back as it was. Raises `BadInput` where the example has no such answer.
    """
    import torch

    row, model = lesson(loaded, example, pixels, rejected=rejected).encode(), loaded.model
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            mean = float(model(**_placed(loaded, row)).loss)
    finally:
        model.train(training)
    return -mean * int((row["labels"] >= 0).sum())


def _limit(loaded: LoadedModel, example: Example, pixels: int | None) -> int:
    """Room for twice the true answer: a model that talks on is not waited for."""
    if example.chosen is None:
        return _LEAST
    labels = lesson(loaded, example, pixels).encode()["labels"]
    return min(_MOST, _LEAST + 2 * int((labels >= 0).sum()))


def _generated(loaded: LoadedModel, inputs: dict[str, Any], limit: int) -> str:
    placed = _placed(loaded, inputs)
    sampling = Sampling(max_tokens=limit, temperature=0.0)
    with Generation(loaded, placed, sampling, limit, threading.Event(), on_end=_nothing) as generation:
        return "".join(generation.pieces(1.0))


def _placed(loaded: LoadedModel, inputs: dict[str, Any]) -> dict[str, Any]:
    dtype = loaded.model.dtype
    return {
        name: value.to(loaded.device, dtype if value.is_floating_point() else None)
        for name, value in inputs.items()
    }


def _nothing() -> None:
    """Nobody waits for the model."""
