"""A backend whose models are in memory already: for tests that are not about loading."""

from __future__ import annotations

from collections.abc import Callable

from vlm_app.engine import LoadedModel
from vlm_app.engine.backend import Plan, Watch
from vlm_app.types import Checkpoint

PLENTY = 10**12


class Ready:
    """Gives out the models that it was made with, by the ids of their rows; forgets none.

    `loading`, where it is given, is called at every load: it may wait, or raise.
    """

    def __init__(self, *models: LoadedModel, loading: Callable[[], object] | None = None) -> None:
        self.models = {loaded.checkpoint.id: loaded for loaded in models}
        self.loading = loading

    def plan(self, checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan:
        loaded = self.models[checkpoint.id]
        return Plan(checkpoint, loaded.precision, loaded.bytes, 0, loaded.device)

    def load(self, plan: Plan, watch: Watch) -> LoadedModel:
        if self.loading:
            self.loading()
        return self.models[plan.checkpoint.id]

    def unload(self, model: LoadedModel) -> None:
        """The test still needs it."""

    def free(self) -> int:
        return PLENTY
