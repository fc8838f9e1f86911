"""The backend that runs models on this computer's own devices."""

from __future__ import annotations

from vlm_app.engine import adapters, batching, loading, packages
from vlm_app.engine.backend import Plan, Watch
from vlm_app.engine.features import Features
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.releasing import forget, release
from vlm_app.types import Checkpoint, Runs

FEATURE_BYTES = 256_000_000  # of one model: sixty photographs as a model of three billion sees them


class LocalBackend:
    """Plans by what is free on the first device, loads, and gives all of it back.

    Models are loaded with transformers, an engine of a package as `packages` knows.
    """

    def plan(self, checkpoint: Checkpoint, precision: str, capacity: int, watch: Watch) -> Plan:
        from vlm_app.engine import memory

        if checkpoint.runs is Runs.PACKAGE:
            return packages.plan(checkpoint, capacity, watch)
        return memory.plan(checkpoint, precision, capacity, watch)

    def load(self, plan: Plan, watch: Watch) -> LoadedModel:
        if plan.checkpoint.runs is Runs.PACKAGE:
            return packages.load(plan, watch)
        adapters.prepare()
        loaded = loading.load(plan, watch)
        loaded.features = Features(loaded.model, FEATURE_BYTES, lambda: loaded.spare())
        batching.share(loaded)
        return loaded

    def unload(self, model: LoadedModel) -> None:
        model.close()
        if model.processor is not None:
            forget(model.processor)
        release()

    def free(self) -> int:
        from vlm_app.engine.devices import devices

        return devices()[0].free
