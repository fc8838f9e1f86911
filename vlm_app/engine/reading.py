"""Reading an answer while it grows, whoever writes it."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Any

from vlm_app.engine.frames import shown
from vlm_app.families import Family, Parsed
from vlm_app.types import Answer, Checkpoint, Delta, Finish, Request, Seen, Task, Timings, Usage

_PARSE_SHARE = 0.02  # of the time, at most, is spent on reading a growing answer again
_PACE = 0.02  # seconds: a page shows nothing sooner, and whoever reads takes time from whoever writes
_NOTHING = re.compile(r"(?:```\w*\s*)?\[\s*\](?:\s*`{1,3})?")  # how models that answer in JSON find nothing


class Reading:
    """The text of one answer so far, and what its family makes of it.

    Whoever writes the answer adds to `raw`, and sets `seen` and `prompt` when they are
    known, and `finish` at the end.
    """

    def __init__(self, request: Request, checkpoint: Checkpoint, family: Family) -> None:
        self._request = request
        self._checkpoint = checkpoint
        self._family = family
        self._parsed = Parsed("")
        self._read_at = 0.0
        self._read_cost = 0.0
        self._read = 0  # characters of `raw`
        self.shown = shown(request, checkpoint, family)
        self.raw = family.unfinished(request.turns)
        self.seen = Seen()
        self.prompt = ""
        self.finish = Finish.CANCELLED

    def resume(self) -> None:
        """What stood there before the answer goes on was shown already."""
        self._parsed = self._parse()

    def delta(self, whole: bool = False) -> Delta:
        """What can be read now that could not before.

        A long answer is read again only after fifty times as long as reading it last took,
        so that the work stays a small share however long it grows. What is held back for that
        comes with the next call after it, whether more was written or not.
        """
        begun = time.monotonic()
        early = begun - self._read_at < max(_PACE, self._read_cost / _PARSE_SHARE)
        if not whole and (early or self._read == len(self.raw)):
            return Delta()
        before, self._parsed = self._parsed, self._parse()
        self._read = len(self.raw)
        self._read_at = time.monotonic()
        self._read_cost = self._read_at - begun
        return Delta(self._parsed.text[len(before.text) :], self._parsed.regions[len(before.regions) :])

    def answer(
        self,
        usage: Usage,
        timings: Timings,
        *,
        precision: str = "",
        adapter: str | None = None,
        error: str = "",
    ) -> Answer:
        """The answer as it is now."""
        self._parsed = self._parse()
        return Answer(
            text=self._parsed.text,
            regions=self._parsed.regions,
            raw=self.raw,
            prompt=self.prompt,
            task=self._request.task,
            seen=replace(self.seen, note=f"{self.seen.note} {self.shown.note}".strip()),
            usage=usage,
            timings=timings,
            finish=self.finish,
            model=self._checkpoint.id,
            precision=precision,
            adapter=adapter,
            error=error,
        )

    def _parse(self) -> Parsed:
        sizes = self.shown.sizes()
        about: dict[str, Any] = {
            "image_size": sizes[-1] if sizes else (1, 1),
            "input_size": self.seen.size,
            "asked": (self._request.task, self._request.query),
            "images": sizes,
        }
        if self.shown.native:
            parsed = self._family.parse_video(self.raw, times=self.shown.times, **about)
        else:
            parsed = self._family.parse(self.raw, **about)
        parsed = replace(parsed, regions=self.shown.placed(parsed.regions))
        if self._request.task is not Task.COUNT:
            return parsed
        if _NOTHING.fullmatch(parsed.text):
            parsed = replace(parsed, text="")  # held back until something follows it
        return _counted(parsed) if self.finish is Finish.STOP else parsed


def _counted(parsed: Parsed) -> Parsed:
    """A counting answer with the number of its regions, where it does not end with one itself."""
    if re.search(r"\bTotal: \d+\.?$", parsed.text):
        return parsed
    text = parsed.text
    joint = "" if not text else "\n\n" if text.endswith("```") else " " if text.endswith(".") else ". "
    return replace(parsed, text=f"{text}{joint}Total: {len(parsed.regions)}.")
