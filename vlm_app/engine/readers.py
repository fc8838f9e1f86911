"""Which model reads text when nobody chose one."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from vlm_app.types import Checkpoint, Runs, Task

_TOYS = frozenset({"pebble"})  # families that read in a world of their own, and no real page


def reader(task: Task, rows: Mapping[str, Checkpoint], ready: Collection[str]) -> str:
    """The id of the model that reads: one of `ready`, or else the engine that comes with a package.

    Of those that are ready the first that was made for reading alone, and then the first that
    can read too. The built-in model's family knows no real pages and is never meant. '' where
    nothing can read; `task` is OCR or OCR_REGIONS.
    """
    able = [row for row in rows.values() if task in row.tasks and row.family not in _TOYS]
    here = [row for row in able if row.id in ready and row.runs is not Runs.PACKAGE]
    packaged = [row for row in able if row.runs is Runs.PACKAGE]
    best = [*(row for row in here if Task.CHAT not in row.tasks), *here, *packaged]
    return best[0].id if best else ""
