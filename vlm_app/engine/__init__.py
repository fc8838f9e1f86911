"""Running models: loading, leases, generation, and the events that tell of them.

Importing it imports no torch and loads nothing.
"""

from __future__ import annotations

from functools import cache

from vlm_app.catalog import catalog
from vlm_app.engine.answers import Engine
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import peak_bytes, set_library_defaults
from vlm_app.engine.manager import Lease, ModelState

__all__ = ["Engine", "Lease", "LoadedModel", "ModelState", "engine", "peak_bytes", "set_library_defaults"]


@cache
def engine() -> Engine:
    """The engine of this process, on the catalog of its settings."""
    return Engine(catalog())
