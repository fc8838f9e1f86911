"""The buttons of the place: what each does, for an owner. A press says what its tab shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradio.components import Component

from vlm_app.errors import BadInput
from vlm_app.finetune.workshop import Workshop
from vlm_app.settings import settings
from vlm_app.types import Task
from vlm_app.ui.finetune.datasets.part import DatasetsPart
from vlm_app.ui.finetune.datasets.render import Filter
from vlm_app.ui.finetune.datasets.showing import Place, Showing
from vlm_app.ui.workbench.telling import told

GONE = "This button belongs to an older version of the page: reload it."
Updates = dict[Component, Any]


@dataclass(frozen=True)
class Press:
    """A press: whose, with what the button and the tab carry."""

    owner: str
    asked: Mapping[str, Any]

    def text(self, name: str) -> str:
        value = self.asked.get(name)
        return "" if value is None else str(value)

    @property
    def place(self) -> Place:
        """What the tab shows. Raises BadInput for what no page of ours sends."""
        page = self.asked.get("page")
        task, side = self.text("task"), self.text("side")
        if task and task not in set(Task):
            raise BadInput(GONE)
        chosen = Filter(
            Task(task) if task else None, self.text("label"), {"held": True, "taught": False}.get(side)
        )
        number = page if isinstance(page, int) and page > 0 else 0
        return Place(self.text("dataset"), chosen, number, self.text("example"), self.text("model"))


class Acts:
    """What buttons do. Every method gives updates of the place, or raises AppError."""

    def __init__(self, on: DatasetsPart, workshop: Workshop) -> None:
        self.on = on
        self.examples = workshop.examples
        self.arrivals = workshop.arrivals
        self.showing = Showing(on, workshop)
        self.ways: dict[str, Callable[[Press], Updates]] = {
            "look": self._look, "progress": self._progress, "create": self._create, "rename": self._rename,
            "delete": self._delete, "drop": self._drop, "hearts": self._hearts, "add": self._add,
            "stop": self._stop, "dismiss": self._dismiss,
        }  # fmt: skip

    def do(self, press: Press) -> Updates:
        """One press."""
        way = self.ways.get(press.text("act"))
        if way is None:
            raise BadInput(GONE)
        return way(press)

    def teach(self, press: Press) -> Updates:
        """The training text of the example that is shown, for the chosen model."""
        return self.showing.taught(press.owner, press.place)

    def refused(self, press: Mapping[str, Any]) -> str:
        """News for the browser after a refusal: what waited for an answer goes on."""
        return told(refused=str(press.get("act")))

    # --- datasets ---------------------------------------------------------------------------

    def _look(self, press: Press) -> Updates:
        return self.showing.all(press.owner, press.place)

    def _create(self, press: Press) -> Updates:
        made = self.examples.create(press.owner, press.text("name"))
        return self.showing.all(press.owner, Place(made.id))

    def _rename(self, press: Press) -> Updates:
        self.examples.rename(press.owner, press.text("dataset"), press.text("name"))
        return self._look(press)

    def _delete(self, press: Press) -> Updates:
        self.examples.delete_dataset(press.owner, press.text("dataset"))
        return self.showing.all(press.owner, Place())

    def _drop(self, press: Press) -> Updates:
        """An example is deleted; `example` is the one that is shown from here on, if any."""
        self.examples.delete(press.owner, press.text("drop"))
        return self._look(press)

    # --- uploads ----------------------------------------------------------------------------

    def _hearts(self, press: Press) -> Updates:
        """The example dataset comes in as any other does."""
        path = settings().assets / "examples" / "hearts.zip"
        self.arrivals.bring(press.owner, path, "Hearts.zip")
        return self._progress(press)

    def _progress(self, press: Press) -> Updates:
        return self.showing.progress(press.owner)

    def _add(self, press: Press) -> Updates:
        self.arrivals.add(press.owner, press.text("arrival"))
        return self._progress(press)

    def _stop(self, press: Press) -> Updates:
        self.arrivals.stop(press.owner, press.text("arrival"))
        return self._look(press)

    def _dismiss(self, press: Press) -> Updates:
        self.arrivals.dismiss(press.owner, press.text("arrival"))
        return self._look(press)
