"""Short words for what stands in datasets."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from vlm_app.finetune.examples import Example, Source
from vlm_app.types import PERSON, Checkpoint, Task
from vlm_app.ui.render import TASKS

SOURCES: Mapping[Source, str] = {
    Source.ANSWER: "an answer in a chat",
    Source.EDIT: "the workbench",
    Source.VOTE: "a vote",
    Source.UPLOAD: "an upload",
}


def task_name(task: Task) -> str:
    return TASKS.get(task, task.value)


def many(count: int, thing: str = "example") -> str:
    """'1 example', '2,000 examples'."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def when(time: datetime, now: datetime) -> str:
    """'just now', '12 min ago', 'today', '10 Mar 2026'; `now` has a time zone and decides what is today."""
    local = time.astimezone(now.tzinfo)
    minutes = int((now - local).total_seconds() // 60)
    if minutes < 1:
        return "just now"
    if minutes < 60:
        return f"{minutes} min ago"
    if local.date() == now.date():
        return f"today {local:%H:%M}"
    return f"{local.day} {local:%b %Y}"


def maker(example: Example, rows: Mapping[str, Checkpoint]) -> str:
    """Who gave the right answer."""
    if example.text is None:
        return "nobody: only a wrong answer is known"
    if example.maker == PERSON:
        return "a person"
    return rows[example.maker].name if example.maker in rows else example.maker


def line(example: Example) -> str:
    """What an example is about, on one line: its question, or its answer where it needs none."""
    said = example.text if example.text is not None else (example.rejected.text if example.rejected else "")
    about = " ".join((example.query or said or "nothing is there").split())
    return about if len(about) <= 80 else about[:79] + "…"
