"""The buttons of the place: what each does, for an owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from vlm_app.errors import BadInput
from vlm_app.finetune.workshop import Workshop
from vlm_app.ui.finetune.datasets import render
from vlm_app.ui.finetune.datasets.part import DatasetsPart
from vlm_app.ui.workbench.telling import told

GONE = "This button belongs to an older version of the page: reload it."
Updates = dict[Component, Any]


@dataclass(frozen=True)
class Press:
    """A press: whose, with what the button carries."""

    owner: str
    asked: Mapping[str, Any]

    def text(self, name: str) -> str:
        value = self.asked.get(name)
        return "" if value is None else str(value)


class Acts:
    """What buttons do. Every method gives updates of the place, or raises AppError."""

    def __init__(self, on: DatasetsPart, workshop: Workshop) -> None:
        self.on = on
        self.examples = workshop.examples
        self.ways: dict[str, Callable[[Press], Updates]] = {
            "look": self._look, "create": self._create, "rename": self._rename, "delete": self._delete,
        }  # fmt: skip

    def do(self, press: Press) -> Updates:
        """One press."""
        way = self.ways.get(press.text("act"))
        if way is None:
            raise BadInput(GONE)
        return way(press)

    def refused(self, asked: Mapping[str, Any]) -> str:
        """News for the browser after a refusal."""
        return told(refused=str(asked.get("act")))

    # --- datasets ---------------------------------------------------------------------------

    def _look(self, press: Press) -> Updates:
        """The list, with the dataset that is open."""
        datasets = self.examples.datasets(press.owner)
        return {
            self.on.list: render.listed(datasets, press.text("dataset")),
            self.on.told: told(datasets=len(datasets)),
        }

    def _create(self, press: Press) -> Updates:
        self.examples.create(press.owner, press.text("name"))
        return self._look(press)

    def _rename(self, press: Press) -> Updates:
        self.examples.rename(press.owner, press.text("dataset"), press.text("name"))
        return self._look(press)

    def _delete(self, press: Press) -> Updates:
        self.examples.delete_dataset(press.owner, press.text("dataset"))
        return self._look(press)
