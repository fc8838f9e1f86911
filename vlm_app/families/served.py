"""Families without a class in transformers: how they are asked and read, wherever they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vlm_app.errors import ModelUnavailable
from vlm_app.families.base import Family
from vlm_app.types import Seen, Task, Turn


class ServedFamily(Family):
    """A family that runs on a server only (`servers`), or nowhere that is common: then it is read only."""

    def encode(
        self,
        processor: Any,
        turns: Sequence[Turn],
        *,
        task: Task,
        pixels: int | None = None,
        answer: str | None = None,
    ) -> tuple[dict[str, Any], Seen]:
        where = " or ".join(self.servers)
        raise ModelUnavailable(
            f"{self.title or self.name} has no class in transformers: "
            + (f"run it on {where} and add that server." if where else "its answers can only be read here.")
        )
