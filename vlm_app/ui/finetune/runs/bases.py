"""Which models can be taught here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vlm_app import families
from vlm_app.errors import ModelUnavailable
from vlm_app.types import Checkpoint, Runs


def bases(rows: Iterable[Checkpoint]) -> list[dict[str, Any]]:
    """For the browser: every model that this app runs, and why one cannot be taught, or ''.

    What neither runs here nor could is not among them.
    """
    listed = [row for row in rows if row.server or row.runs in (Runs.IN_PROCESS, Runs.PACKAGE, Runs.SERVER)]
    told = [{"id": row.id, "name": row.name, "why": why_not(row)} for row in listed]
    return sorted(told, key=lambda each: bool(each["why"]))


def why_not(row: Checkpoint) -> str:
    """Why a model cannot be taught here; '' where it can."""
    if row.server:
        return f"its weights are on {row.server}"
    if row.runs is Runs.SERVER:
        return "only a server can load it"
    if row.runs is not Runs.IN_PROCESS:
        return "an OCR engine, which learns nothing here"
    if row.remote_code:
        return "its own code would have to run"
    try:
        taught = families.get(row.family).lora_towers
    except ModelUnavailable:
        return "its family is not known here"
    return "" if taught else "its family cannot be taught yet"
