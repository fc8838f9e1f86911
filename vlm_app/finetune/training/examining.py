"""The held-out examples answered by the base alone and with the adapter, as chat would answer them."""

from __future__ import annotations

import time
from typing import Any

from vlm_app.engine import adapters
from vlm_app.engine.loaded import LoadedModel
from vlm_app.errors import AppError
from vlm_app.finetune import judging
from vlm_app.finetune.events import Answered
from vlm_app.finetune.examples import Example, digest
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
    Raises `ModelUnavailable` where the adapter does not fit, and `OSError` on a full disk.
    """
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


def _adapter(folder: RunFolder, loaded: LoadedModel) -> adapters.Adapter:
    """What the run made, before it is anybody's to choose."""
    base = loaded.checkpoint
    return adapters.Adapter(folder.path.name, folder.config.name, base.source, base.revision, folder.adapter)


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
        replies = {
            name: as_dict(side["reply"])
            for name, side in (("before", before), ("after", after))
            if side["reply"] is not None
        }
        likely = {
            name: (before[name], after[name]) for name in ("right", "wrong") if before[name] is not None
        }
        return Line(example=place, key=digest(example), **replies, **likely)

    def _side(self, example: Example, adapter: adapters.Adapter | None) -> dict[str, Any]:
        adapters.use(self._loaded, adapter)
        known, wrong = example.chosen is not None, example.rejected is not None
        return {
            "reply": answer(self._loaded, example, self._pixels) if known else None,
            "right": self._likely(example, rejected=False) if self._preferences and known else None,
            "wrong": self._likely(example, rejected=True) if self._preferences and wrong else None,
        }

    def _likely(self, example: Example, *, rejected: bool) -> float:
        return likelihood(self._loaded, example, self._pixels, rejected=rejected)
