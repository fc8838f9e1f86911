"""What one look at this machine found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How much a finding matters."""

    OK = "ok"
    NOTE = "note"  # the app runs, and something is less than it could be
    PROBLEM = "problem"  # the app does not run, or not as it was set to


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, what was found, and what to do where it is not as it should be."""

    about: str
    level: Level
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        if (self.level is Level.OK) == bool(self.advice):
            raise ValueError("advice belongs to what is not as it should be, and to nothing else")
