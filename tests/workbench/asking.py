"""Questions about pages of a sheet, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Generator

from tests.workbench.conftest import Files
from vlm_app.types import Task
from vlm_app.workbench.sheet import Finding, Question, Step

OWNER = "ada"
Make = Callable[..., Files]
DETECT = Question(Task.DETECT, "circle", "able")


def found(steps: Generator[Step]) -> Finding:
    """What is kept at the end."""
    *_, last = steps
    assert last.finding is not None
    return last.finding
