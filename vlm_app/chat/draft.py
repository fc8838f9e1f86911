"""An answer while it is being written."""

from __future__ import annotations

from dataclasses import replace

from vlm_app.chat.conversation import ChatSettings
from vlm_app.engine.adapters import BASE
from vlm_app.types import Answer, Delta, Finish, Region, Task, Timings, Usage


class Draft:
    """Collects the deltas of one answer; `before` is the cut answer that it continues."""

    def __init__(self, chosen: ChatSettings, task: Task, before: Answer | None = None) -> None:
        self._blank = _blank(chosen, task) if before is None else before
        self._before = before
        self._text = ""
        self._regions: tuple[Region, ...] = ()
        self._finished: Answer | None = None

    def add(self, delta: Delta) -> None:
        self._text += delta.text
        self._regions += delta.regions
        self._finished = delta.answer or self._finished

    @property
    def finished(self) -> bool:
        """Whether the model has handed over its whole answer."""
        return self._finished is not None

    def answer(self, finish: Finish = Finish.STOP, error: str = "") -> Answer:
        """What there is. `finish` and `error` count where the model did not finish itself."""
        if self._finished is not None:
            whole = replace(self._finished, model=self._finished.model or self._blank.model)
            return whole if self._before is None else continued(self._before, whole)
        new = bool(self._text or self._regions)
        return replace(
            self._blank,
            text=self._blank.text + self._text,
            regions=self._blank.regions + self._regions,
            raw="" if new else self._blank.raw,  # what the model wrote is not known before it ends
            finish=finish,
            error=error,
        )


def _blank(chosen: ChatSettings, task: Task) -> Answer:
    """Who was asked; which precision 'auto' is, nobody knows before the model is there."""
    precision = "" if chosen.precision == "auto" else chosen.precision
    adapter = None if chosen.adapter == BASE else chosen.adapter
    return Answer("", task=task, model=chosen.model, precision=precision, adapter=adapter)


def continued(before: Answer, whole: Answer) -> Answer:
    """The answer that goes on from `before`, as the engine gives it: with its tokens and seconds,
    and with its regions where the engine, which got plain text to go on from, could not know them."""
    read_again = before.raw != "" and before.model == whole.model
    regions = () if read_again or not whole.text.startswith(before.text) else before.regions
    return replace(
        whole,
        regions=regions + whole.regions,
        prompt=before.prompt or whole.prompt,
        usage=Usage(
            before.usage.prompt_tokens or whole.usage.prompt_tokens,
            before.usage.completion_tokens + whole.usage.completion_tokens,
            before.usage.cached_tokens or whole.usage.cached_tokens,
        ),
        timings=Timings(
            before.timings.load + whole.timings.load,
            before.timings.first_token or whole.timings.first_token,
            before.timings.total + whole.timings.total,
        ),
    )
