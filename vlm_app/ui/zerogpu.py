"""ZeroGPU: models placed before the page is up, and a GPU borrowed for each answer.

The package `spaces`, which a Space of Gradio's SDK has, patches torch so that 'cuda' can be named without a
GPU, writes the placed weights down when `Blocks.launch` is called, and forks a process with a GPU for each
call of a function that it wraps. So it is imported before torch, and models go to 'cuda' in this thread:
the patch holds in no other one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from vlm_app.catalog import catalog, find
from vlm_app.catalog.rows import BUILT_IN
from vlm_app.engine.backend import Plan
from vlm_app.engine.fixed import Apart, FixedEngine, gpu_memory
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import load
from vlm_app.engine.opening import opening
from vlm_app.errors import AppError
from vlm_app.settings import settings
from vlm_app.types import Clip, Request

_log = logging.getLogger(__name__)
PRECISION = "bf16"
LEAST, MOST = 10, 120  # seconds for which a GPU is borrowed
START = 5.0  # seconds until weights lie on the GPU and the first image is read
IMAGE = 1.0  # seconds for each image
BANDWIDTH = 250e9  # bytes of weights that are read in a second, about a fifth of what such a GPU does at best
FASTEST = 30.0  # tokens a second, at best, of a small model


def zerogpu_engine() -> FixedEngine:
    """The engine with the models of this place on it. Called in the main thread, before the launch."""
    import spaces

    placed, missing = _placed()

    def apart(answer: Apart) -> Apart:
        def seconds(request: Request, stop: str) -> int:
            return duration(request, placed[request.model].bytes)

        run: Apart = spaces.GPU(duration=seconds)(answer)
        return run

    return FixedEngine(catalog(), placed, apart, gpu_memory(), missing)


def duration(request: Request, weights: int) -> int:
    """Whole seconds to borrow a GPU for: its images, the most tokens of the answer, the weights in bytes.

    A shorter time stands nearer to the front of the place's line and takes less of a visitor's quota; an
    answer that needs longer may be cut off.
    """
    images = sum(
        len(part.frames) if isinstance(part, Clip) else not isinstance(part, str)
        for turn in request.turns
        for part in turn.parts
    )
    speed = min(BANDWIDTH / max(weights, 1), FASTEST)
    wanted = START + IMAGE * images + request.sampling.max_tokens / speed
    return round(min(max(wanted, LEAST), MOST))


def _placed() -> tuple[Mapping[str, LoadedModel], Mapping[str, str]]:
    """The models that were named for this place, and the built-in one, each on 'cuda'; why others are not."""
    placed: dict[str, LoadedModel] = {}
    missing: dict[str, str] = {}
    for id in dict.fromkeys((*settings().offered, BUILT_IN)):
        try:
            loaded = load(Plan(find(id), PRECISION, 0, 0, "cpu"))
        except AppError as error:
            _log.error("%s is not placed: %s", id, error.sentence)
            opening().failed(id, error.sentence)
            missing[id] = error.sentence
            continue
        loaded.model.to("cuda")
        loaded.device = "cuda"
        placed[id] = loaded
    return placed, missing
