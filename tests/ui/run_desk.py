"""The place of runs of one visitor, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.app import STUB, engine, needs
from tests.finetune.runs import example
from vlm_app.finetune import plans
from vlm_app.finetune.adapters import Adapters
from vlm_app.finetune.examples import Examples
from vlm_app.finetune.processes import end
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Run, Runs
from vlm_app.store import Store
from vlm_app.ui.finetune.runs import fields
from vlm_app.ui.finetune.runs.acts import RunsActs
from vlm_app.ui.finetune.runs.part import RunsPart
from vlm_app.ui.finetune.runs.showing import RunsShowing

ME = "me"


class Desk:
    """The place of one visitor, with a dataset of ten examples and the test's own trainer."""

    def __init__(self, data: Path) -> None:
        import gradio as gr

        self.store, self.engine = Store(data), engine()
        self.runs = Runs(self.store, self.engine, STUB)
        self.examples = Examples(self.store)
        self.dataset = self.examples.create(ME, "Shapes").id
        for number in range(10):
            self.examples.add(ME, self.dataset, example(number))
        self.on = RunsPart(**{each.name: gr.Textbox(render=False) for each in dataclass_fields(RunsPart)})
        showing = RunsShowing(self.on, self.runs, Adapters(self.store, self.engine))
        self.acts = RunsActs(showing, self.examples, self.engine, ways=None)

    def form(self, **changes: Any) -> dict[str, Any]:
        """What stands in the form, as the browser sends it."""
        usual = fields.values(RunConfig())
        return {**usual, "base": "pebble", "name": "Hearts", "dataset": self.dataset, **changes}

    def do(self, act: str, owner: str = ME, **asked: Any) -> dict[str, Any]:
        """A press: what the browser is told, with the components that changed by their names."""
        updates = self.acts.do(owner, {"act": act, **asked})
        names = {component: name for name, component in vars(self.on).items()}
        shown = {names[part]: update for part, update in updates.items()}
        return {**shown, **json.loads(shown["told"])}

    def start(self, **changes: Any) -> str:
        return str(self.do("start", form=self.form(**changes))["opened"])

    def run(self, id: str) -> Run:
        return self.runs.run(ME, id)

    def close(self) -> None:
        self.runs.close()
        for run in self.runs.runs(ME):
            if run.config:
                assert end(run.folder, 20)
        self.engine.close()
        self.store.close()


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(plans, "needs", needs)
    made = Desk(tmp_path / "data")
    yield made
    made.close()
