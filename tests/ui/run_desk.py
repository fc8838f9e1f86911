"""The place of runs of one visitor, without a browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import pytest

from tests.finetune.desk import ME, Bench, opened
from vlm_app.finetune.adapters import Adapters
from vlm_app.finetune.run_config import RunConfig
from vlm_app.finetune.runs import Run
from vlm_app.ui.finetune.runs import fields
from vlm_app.ui.finetune.runs.acts import RunsActs
from vlm_app.ui.finetune.runs.part import RunsPart
from vlm_app.ui.finetune.runs.showing import RunsShowing


class Desk(Bench):
    """The place of one visitor, with a dataset of ten examples and the test's own trainer."""

    def __init__(self, data: Path) -> None:
        import gradio as gr

        super().__init__(data)
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


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    yield from opened(Desk, tmp_path, monkeypatch)
