"""From what was pressed on the tab to a question of the workbench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from vlm_app.catalog import catalog, find
from vlm_app.engine import Engine
from vlm_app.errors import BadInput
from vlm_app.types import Box, Task
from vlm_app.ui.workbench import choosing
from vlm_app.workbench.detail import TASKS
from vlm_app.workbench.ready import ready
from vlm_app.workbench.sheet import Question

GONE = "This button belongs to an older state of the page: reload it."
ONE_PAGE = "A part is drawn on one page: choose that page alone and draw it there."


@dataclass(frozen=True)
class Chosen:
    """What the inspector is set to."""

    model: str  # '' for whoever fits
    second: str  # '-' for nobody
    choice: str  # of the tasks
    query: str
    detail: bool
    default: str

    def question(self, engine: Engine, asked: Mapping[str, Any]) -> Question:
        """The question of a press. Raises BadInput."""
        if asked.get("act") == "ready":
            return self._ready(str(asked.get("name")))
        if asked.get("act") == "describe":
            region = _box(asked.get("region"))
            model = choosing.answering(engine, catalog(), self.model, self.default, Task.DESCRIBE_REGION)
            return Question(Task.DESCRIBE_REGION, model=model, region=region)
        task = choosing.task_of(self.choice)
        model = choosing.answering(engine, catalog(), self.model, self.default, task)
        if self.choice == choosing.DETAILED:
            return Question(Task.CHAT, choosing.IN_DETAIL, model)
        if task is Task.DESCRIBE_REGION:
            raise BadInput(choosing.DRAW)
        query = self.query.strip() if task in choosing.HINTS else ""
        return Question(task, query, model, detail=self.detail and task in TASKS)

    def _ready(self, name: str) -> Question:
        model = self.model or self.default
        chosen = next((each for each in ready(find(model)) if each.name == name), None)
        if chosen is None:
            raise BadInput(GONE)
        return replace(chosen.question, model=model)


def pages(asked: Mapping[str, Any], question: Question) -> Sequence[str]:
    """The keys that a press names."""
    keys = [str(key) for key in asked.get("keys") or []]
    if question.task is Task.DESCRIBE_REGION and len(keys) != 1:
        raise BadInput(ONE_PAGE)
    return keys


def _box(corners: Any) -> Box:
    try:
        return Box(*(float(each) for each in corners))
    except (TypeError, ValueError) as error:
        raise BadInput(GONE) from error
