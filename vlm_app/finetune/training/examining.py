"""The held-out examples answered by the base alone and with the adapter, as chat would answer them."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlm_app.engine import adapters
from vlm_app.engine.attaching import WEIGHTS
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import AppError, ModelUnavailable
from vlm_app.finetune import judging
from vlm_app.finetune.events import Answered
from vlm_app.finetune.examples import Example, Reply, digest
from vlm_app.finetune.judging import Line, as_dict, asked
from vlm_app.finetune.run_config import RunConfig, Stage
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.finetune.training import Stopped, Tell
from vlm_app.finetune.training.answering import answer, likelihood

_NO_RIGHT_ANSWER = "It has no right answer to compare with."


def examine(folder: RunFolder, loaded: LoadedModel, tell: Tell, stopped: Stopped) -> bool:
    """Answer what is not answered yet, each example by the base and by the adapter of `folder.adapter`.

    `loaded` is the bare base. Both answers are greedy and in its precision; `vlm_app.finetune.judging`
    compares them. False when `stopped` said so before the last one: the rest is left for the next time.
    Raises `ModelUnavailable` where the adapter does not fit or its weights are no numbers, and `OSError`
    on a full disk.
    """
    _check(folder.adapter / WEIGHTS)
    examples = folder.examples("held_out")
    places = asked(len(examples))
    done = {line.example for line in judging.read(folder)}
    rest = [place for place in places if place not in done]
    judging.begin(folder)
    if not places:
        return True
    adapter, begun = _adapter(folder, loaded), time.monotonic()
    examined = _Examined(loaded, folder.config, adapter)
    try:
        tell(Answered(done=len(places) - len(rest), of=len(places)))
        for number, place in enumerate(rest, 1):
            if stopped():
                return False
            judging.write(folder, examined.line(place, examples[place]))
            left = (time.monotonic() - begun) / number * (len(rest) - number)
            tell(Answered(done=len(places) - len(rest) + number, of=len(places), seconds_left=left))
    finally:
        adapters.detach(loaded, adapter.id)
    return True


def _check(weights: Path) -> None:
    """Raises `ModelUnavailable` where training left weights that are no numbers."""
    from safetensors import safe_open

    with safe_open(weights, framework="pt") as file:
        if all(bool(file.get_tensor(name).isfinite().all()) for name in file.keys()):  # noqa: SIM118
            return
    raise ModelUnavailable(
        "What it learned are no numbers any more, so the adapter cannot answer: lower the learning rate, "
        "and start it again."
    )


def _adapter(folder: RunFolder, loaded: LoadedModel) -> adapters.Adapter:
    """What the run made, before it is anybody's to choose."""
    base = loaded.checkpoint
    return adapters.Adapter(folder.path.name, folder.config.name, base.source, base.revision, folder.adapter)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one side makes of an example; how likely it finds the right and the wrong answer, in nats."""

    reply: Reply | None
    right: float | None = None
    wrong: float | None = None


class _Examined:
    """A base and its adapter, asked in turns: switching takes milliseconds."""

    def __init__(self, loaded: LoadedModel, config: RunConfig, adapter: adapters.Adapter) -> None:
        self._loaded, self._pixels = loaded, config.pixels
        self._preferences = config.stage is Stage.PREFERENCE
        self._adapter = adapter
        adapters.use(loaded, adapter)  # what does not fit is said before anything is asked

    def line(self, place: int, example: Example) -> Line:
        """One example, without the adapter and with it."""
        if example.chosen is None and not self._preferences:
            return Line(example=place, left=_NO_RIGHT_ANSWER)
        try:
            before, after = self._side(example, None), self._side(example, self._adapter)
        except AppError as error:  # the family cannot be asked this, or reads no such picture
            return Line(example=place, left=error.sentence)
        finally:
            adapters.use(self._loaded, None)
        if before.reply is None and before.wrong is None:
            return Line(example=place, left=_NO_RIGHT_ANSWER)
        return Line(
            example=place,
            key=digest(example),
            before=_dict(before.reply),
            after=_dict(after.reply),
            right=_both(before.right, after.right),
            wrong=_both(before.wrong, after.wrong),
        )

    def _side(self, example: Example, adapter: adapters.Adapter | None) -> _Said:
        adapters.use(self._loaded, adapter)
        reply = None if example.chosen is None else answer(self._loaded, example, self._pixels)
        if not self._preferences:
            return _Said(reply)
        right = None if example.chosen is None else self._likely(example, rejected=False)
        return _Said(reply, right, None if example.rejected is None else self._likely(example, rejected=True))

    def _likely(self, example: Example, *, rejected: bool) -> float | None:
        with suppress(AppError):  # an answer that the family cannot write was not taught either
            found = likelihood(self._loaded, example, self._pixels, rejected=rejected)
            return found if math.isfinite(found) else None  # in fp16 an answer may be out of its reach
        return None


def _dict(reply: Reply | None) -> dict[str, Any] | None:
    return None if reply is None else as_dict(reply)


def _both(before: float | None, after: float | None) -> tuple[float, float] | None:
    return None if before is None or after is None else (before, after)
