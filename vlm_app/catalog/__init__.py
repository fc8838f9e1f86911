"""The models that can be asked for, and choosing among them.

The catalog is data. What a row's family means is said in `vlm_app.families`, and where
its weights run is the engine's affair.
"""

from vlm_app.catalog.choosing import SMALLEST, choose, memory
from vlm_app.catalog.rows import catalog, find

__all__ = ["SMALLEST", "catalog", "choose", "find", "memory"]
