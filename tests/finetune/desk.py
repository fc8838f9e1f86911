"""Runs on somebody's dataset, as tests start and end them: with a trainer that only counts its steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from tests.finetune.app import STUB, engine, needs
from tests.finetune.runs import example
from vlm_app.engine import Engine
from vlm_app.finetune import plans
from vlm_app.finetune.events import State
from vlm_app.finetune.examples import Example, Examples
from vlm_app.finetune.processes import end
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Run, Runs
from vlm_app.store import Store

ME = "me"
Opened = TypeVar("Opened", bound="Bench")


class Bench:
    """A store with a dataset, and runs on it: ten examples and a trainer that counts, or those given."""

    def __init__(
        self,
        data: Path,
        of: Engine | None = None,
        child: Sequence[str] = STUB,
        taught: Iterable[Example] = (),
    ) -> None:
        self.store, self.engine = Store(data), of or engine()
        self.runs = Runs(self.store, self.engine, child)
        self.examples = Examples(self.store)
        self.dataset = self.examples.create(ME, "Shapes").id
        for each in [*taught] or map(example, range(10)):
            self.examples.add(ME, self.dataset, each)

    def close(self) -> None:
        self.runs.close()
        for run in self.runs.runs(ME):
            if run.config:
                assert end(run.folder, 20)
        self.engine.close()
        self.store.close()


class Desk(Bench):
    """Starts its runs without a page."""

    def start(self, name: str = "Hearts", **settings: Any) -> Run:
        return self.runs.start(ME, RunConfig(name=name, **settings), self.dataset)

    def state(self, run: Run) -> State:
        return self.runs.run(ME, run.id).state


def opened(kind: type[Opened], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Opened]:
    """A bench of some kind, closed at the end; every run needs as little memory as the tests have."""
    monkeypatch.setattr(plans, "needs", needs)
    made = kind(tmp_path / "data")
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    yield from opened(Desk, tmp_path, monkeypatch)
