"""Rows for a decoder, made of real encodings, and what became of them."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import torch

from tests.families import checkpoints
from vlm_app.engine import LoadedModel
from vlm_app.engine.batching import share
from vlm_app.engine.batching.rows import Row
from vlm_app.engine.generation import Arrived
from vlm_app.engine.loading import load_checkpoint
from vlm_app.engine.sampling import rules
from vlm_app.types import Role, Sampling, Task, Turn

PLENTY = 10**12
QUESTIONS = (
    "What is in the image?",
    "Where is the circle, and what else is there?",
    "Hi",
    "Count the squares",
)
LOOKS = (("red", (300, 200)), ("blue", (120, 260)), ("green", (200, 200)), ("white", (300, 200)))


@cache
def tiny(name: str) -> LoadedModel:
    """A tiny checkpoint in fp32 that decodes together, with memory for as much as is wanted."""
    loaded = load_checkpoint(checkpoints.row(name), "fp32")
    share(loaded)
    loaded.spare = lambda: PLENTY
    return loaded


def encoded(loaded: LoadedModel, *turns: Turn) -> dict[str, Any]:
    tasks = loaded.family.tasks
    task = Task.CHAT if Task.CHAT in tasks else min(tasks)
    inputs, _ = loaded.family.encode(loaded.processor, turns, task=task)
    return {
        name: value.to(loaded.model.dtype) if value.is_floating_point() else value
        for name, value in inputs.items()
    }


def asked(loaded: LoadedModel, number: int) -> dict[str, Any]:
    """One of four questions about an image of its own."""
    colour, size = LOOKS[number]
    return encoded(loaded, Turn(Role.USER, (checkpoints.picture(colour, size), QUESTIONS[number])))


def alone(loaded: LoadedModel, inputs: dict[str, Any], tokens: int) -> list[int]:
    """What `generate` writes, greedily, for this prompt by itself."""
    config = rules(loaded, tokens)
    config.eos_token_id = None
    with torch.no_grad():
        out = loaded.model.generate(**inputs, generation_config=config)
    written: list[int] = out[0, inputs["input_ids"].shape[1] :].tolist()
    return written


def _looks(inputs: dict[str, Any]) -> int:
    """What tells the images of a prompt from others."""
    pixels = [value for value in inputs.values() if value.is_floating_point()]
    return hash(tuple(value.numpy().tobytes() for value in pixels))


class Asked:
    """A row that is decoded, and what came of it."""

    def __init__(self, loaded: LoadedModel, inputs: dict[str, Any], tokens: int = 12, **more: Any) -> None:
        self.heard: list[Arrived] = []
        self.stop = threading.Event()
        self._come = threading.Condition()
        self.ends = 0
        self.row = Row(
            inputs=inputs,
            sampling=more.pop("sampling", Sampling(max_tokens=tokens)),
            limit=tokens,
            ends=more.pop("ends", frozenset()),
            adapter=more.pop("adapter", None),
            owner=more.pop("owner", "me"),
            visual=more.pop("visual", _looks(inputs)),
            put=self._hear,
            on_end=self._end,
            stopped=self.stop.is_set,
        )
        assert not more and loaded.decoder is not None
        loaded.decoder.submit(self.row)

    def _hear(self, what: Arrived) -> None:
        with self._come:
            self.heard.append(what)
            self._come.notify_all()

    def _end(self) -> None:
        self.ends += 1

    def wait_for(self, tokens: int) -> None:
        """Until so many tokens have come."""
        with self._come:
            assert self._come.wait_for(lambda: len(self.heard) >= tokens, 60)

    def written(self) -> list[int]:
        """All its tokens, once it has ended; raises what went wrong."""
        assert self.row.ended.wait(60) and self.ends == 1
        *tokens, last = self.heard
        if isinstance(last, BaseException):
            raise last
        assert last is None
        return [token for each in tokens if isinstance(each, list) for token in each]
