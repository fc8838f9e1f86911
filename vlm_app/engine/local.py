"""The backend that runs models on this computer's own devices."""

from __future__ import annotations

from vlm_app.engine import adapters, loading
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.releasing import forget, release
from vlm_app.types import Checkpoint


class LocalBackend:
    """Plans by what is free on the first device, loads with transformers, and gives all of it back."""

    def plan(self, checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan:
        from vlm_app.engine import memory

        return memory.plan(checkpoint, precision, capacity, watch)

    def load(self, plan: Plan, watch: Watch) -> LoadedModel:
        adapters.prepare()
        return loading.load(plan, watch)

    def unload(self, model: LoadedModel) -> None:
        model.close()
        forget(model.processor)
        release()

    def free(self) -> int:
        from vlm_app.engine.devices import devices

        return devices()[0].free
