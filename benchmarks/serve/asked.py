"""One answer as a clock saw it, whoever gave it."""

from __future__ import annotations

import statistics
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Asked:
    """Seconds from the question to its first token and to its end, and what was written."""

    first: float
    total: float
    prompt_tokens: int
    tokens: int
    text: str = ""

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (self.tokens - 1) / (self.total - self.first)


def spread(answers: list[Asked]) -> float:
    """How much longer the slowest of several waited than the middle one."""
    totals = [answer.total for answer in answers]
    return max(totals) / statistics.median(totals)
