"""Updates of the place of runs: the list, the run that is open, its curves and answers.

The browser says which of all that it has already, so that only what changed is made and sent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from gradio.components import Component

from vlm_app.catalog import catalog
from vlm_app.errors import BadInput, NotFound
from vlm_app.finetune.adapters import Adapters
from vlm_app.finetune.curves import Curve, Curves
from vlm_app.finetune.events import Sampled, State
from vlm_app.finetune.examples import Example
from vlm_app.finetune.processes import ACTIVE
from vlm_app.finetune.run_folder import RunFolder
from vlm_app.finetune.runs import Run, Runs
from vlm_app.grounding import region_from_dict
from vlm_app.store import new_id
from vlm_app.ui.finetune.runs import render
from vlm_app.ui.finetune.runs.helping import helped
from vlm_app.ui.finetune.runs.part import RunsPart
from vlm_app.ui.finetune.runs.telling import curve_data, samples_data
from vlm_app.ui.finetune.runs.then import then

Updates = dict[Component, Any]


@dataclass(frozen=True)
class Look:
    """What a browser shows: the run that is open, the one it is compared with, and what it has of them."""

    open: str = ""
    other: str = ""
    has: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, data: Any) -> Look:
        """As the browser says it; nothing where that is no such thing."""
        data = data if isinstance(data, Mapping) else {}
        has = data.get("has")
        has = {str(key): str(value) for key, value in has.items()} if isinstance(has, Mapping) else {}
        return cls(str(data.get("open") or ""), str(data.get("other") or ""), has)


@dataclass(frozen=True)
class RunsShowing:
    """Makes updates for the components of the place. Holds nothing of a visitor."""

    on: RunsPart
    runs: Runs
    adapters: Adapters
    curves: Curves = field(default_factory=Curves)

    def shown(self, owner: str, look: Look) -> Updates:
        """Whatever of the runs is not as the browser has it."""
        runs = self.runs.runs(owner)
        places = _places(runs)
        news = _News(look.has)
        updates = self._list(runs, places, news)
        run = next((each for each in runs if each.id == look.open), None)
        if run is not None:
            updates |= self._open(owner, run, places.get(run.id, 0), news)
        elif look.open:
            news.say(gone=look.open)
        other = next((each for each in runs if each.id == look.other), None)
        if other is not None and other.config:
            curve = self.curves.of(other.folder)
            if news.differs("other", f"{other.id} {curve.read}"):
                news.say(other=curve_data(other, curve))
        if news.any:
            updates[self.on.news] = news.text
        return updates

    def _list(self, runs: Sequence[Run], places: Mapping[str, int], news: _News) -> Updates:
        left = {run.id: self.curves.of(run.folder).seconds_left for run in runs if run.state in ACTIVE}
        html = render.listed(runs, left, places)
        if not news.differs("list", _hash(html)):
            return {}
        news.say(runs=[{"id": run.id, "name": run.name} for run in runs])
        return {self.on.list: html}

    def _open(self, owner: str, run: Run, place: int, news: _News) -> Updates:
        updates: Updates = {}
        curve = self.curves.of(run.folder) if run.config else None
        html = render.head(run, curve, catalog(), place, datetime.now().astimezone())
        if news.differs("head", _hash(html)):
            updates[self.on.head] = html
        if curve is not None and news.differs("curve", f"{run.id} {curve.read} {run.status.steps}"):
            news.say(run=curve_data(run, curve), samples=self._samples(run, curve))
        if news.differs("helped", f"{run.id} {run.state is State.DONE}"):
            updates[self.on.helped] = self._helped(owner, run)
        html = self._then(owner, run)
        if news.differs("then", _hash(f"{run.id} {html}")):
            updates[self.on.then] = html
        return updates

    def _then(self, owner: str, run: Run) -> str:
        """What to do with its adapter, where it has one."""
        if run.state is not State.DONE:
            return ""
        try:
            return then(run.id, self.adapters.card(owner, run.id), self.adapters.merged(owner, run.id))
        except NotFound:
            return ""
        except BadInput as error:
            return render.notice(error.sentence)

    def _helped(self, owner: str, run: Run) -> str:
        if run.state is not State.DONE:
            return ""
        try:
            judged = self.runs.judged(owner, run.id)
        except BadInput as error:
            return render.notice(error.sentence)
        return "" if judged is None else helped(run.id, judged)

    def _samples(self, run: Run, curve: Curve) -> list[dict[str, Any]]:
        places = tuple(sorted({each.example for each in curve.samples}))
        return samples_data(run, _readable(curve.samples), _examples(run.folder, places)) if places else []


class _News:
    """What the browser is told beside the components, and what it then has."""

    def __init__(self, has: Mapping[str, str]) -> None:
        self._had = has
        self._has: dict[str, str] = {}
        self._said: dict[str, Any] = {}
        self.any = False

    def differs(self, name: str, sign: str) -> bool:
        """Whether the browser has something else of this name."""
        self._has[name] = sign
        changed = self._had.get(name) != sign
        self.any = self.any or changed
        return changed

    def say(self, **news: Any) -> None:
        self._said |= news
        self.any = True

    @property
    def text(self) -> str:
        return told(**self._said, has=self._has)


def told(**news: Any) -> str:
    """News for the browser. No two are the same text, so that each arrives."""
    return json.dumps({**news, "at": new_id()}, separators=(",", ":"), allow_nan=False)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _places(runs: Sequence[Run]) -> dict[str, int]:
    """The places in the visitor's line: 1 is the next, or the one that trains."""
    line = [run for run in runs if run.state in (State.QUEUED, *ACTIVE)]
    line.sort(key=lambda run: (run.state is State.QUEUED, run.status.queued, run.id))
    return {run.id: place for place, run in enumerate(line, 1)}


def _readable(samples: Sequence[Sampled]) -> list[Sampled]:
    """Those whose regions can be drawn: a run's folder may be of any age."""
    kept = []
    for each in samples:
        try:
            for region in each.regions:
                region_from_dict(region)
        except BadInput:
            continue
        kept.append(each)
    return kept


def _examples(folder: RunFolder, places: tuple[int, ...]) -> Mapping[int, Example]:
    """Held-out examples by their places; none where they cannot be read."""
    try:
        return _remembered(folder.path, places)
    except (BadInput, NotFound):
        return {}


@lru_cache(maxsize=16)
def _remembered(path: Path, places: tuple[int, ...]) -> Mapping[int, Example]:
    """They never change, and there may be many."""
    held = RunFolder(path).examples("held_out")
    return {place: held[place] for place in places if place < len(held)}
