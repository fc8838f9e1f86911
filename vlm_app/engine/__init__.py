"""Running models: loading, leases, generation, and the events that tell of them.

Importing it imports no torch and loads nothing.
"""

from __future__ import annotations

from functools import cache

from vlm_app.catalog import catalog
from vlm_app.engine.answers import Engine
from vlm_app.engine.cropping import can
from vlm_app.engine.leases import Lease
from vlm_app.engine.loaded import LoadedModel
from vlm_app.engine.loading import peak_bytes, set_library_defaults
from vlm_app.engine.local import LocalBackend
from vlm_app.engine.readers import reader
from vlm_app.engine.reserving import Reservation
from vlm_app.engine.states import ModelState
from vlm_app.settings import settings

__all__ = [
    "Engine",
    "Lease",
    "LoadedModel",
    "LocalBackend",
    "ModelState",
    "Reservation",
    "can",
    "engine",
    "peak_bytes",
    "reader",
    "set_library_defaults",
]


@cache
def engine() -> Engine:
    """The engine of this process, on the catalog of its settings."""
    chosen = settings()
    return Engine(catalog(), LocalBackend(), chosen.memory, 60 * chosen.idle_minutes)
