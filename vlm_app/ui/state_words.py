"""A model's state, times and amounts in the few words that the page has room for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlm_app.engine.backend import Progress
    from vlm_app.engine.states import ModelState

WORDS = {
    "unloaded": "not loaded",
    "waiting": "waiting for memory",
    "loading": "loading",
    "ready": "ready",
    "unloading": "unloading",
    "failed": "failed",
}
STAGES = {"planning": "getting ready", "downloading": "downloading", "loading": "loading"}
LEAVES = " is being unloaded"  # in a state's detail; behind it stands when
ON_THE_WAY = ("waiting", "loading")  # what can be cancelled
MINUTE, HOUR = 60, 3600


def size(count: int) -> str:
    """Bytes in words: 31 MB, 1.2 GB."""
    return f"{count / 1e6:.0f} MB" if count < 999_500_000 else f"{count / 1e9:.1f} GB"


def status(state: ModelState) -> str:
    """'ready', 'answering 8, 2 waiting', 'loading 43 %, about 20 s', 'unloading when 1 answer has ended'."""
    if state.status == "loading" and state.progress:
        return how_far(state.progress)
    if state.status == "unloading":
        _, leaves, when = state.detail.rpartition(LEAVES)
        return "unloading" + (when.removesuffix(".") if leaves else "")
    if state.status != "ready" or not state.holders:
        return WORDS[state.status]
    behind = max(state.holders - state.room, 0)
    answered = state.holders - behind
    together = f"answering {answered}" if answered > 1 else "answering"
    return f"{together}, {behind} waiting" if behind else together


def how_far(progress: Progress) -> str:
    """'downloading 43 %, about 20 s'; without the numbers that nobody knows yet."""
    words = STAGES[progress.stage]
    if progress.share is not None:
        words += f" {progress.share:.0%}".replace("%", " %")
    left = progress.seconds_left
    return words if left is None else f"{words}, about {duration(left)}"


def duration(seconds: float) -> str:
    """20 s, 3 min, 2 h; never 0."""
    if seconds < MINUTE:
        return f"{max(round(seconds), 1)} s"
    return f"{round(seconds / MINUTE)} min" if seconds < HOUR else f"{round(seconds / HOUR)} h"


def ago(seconds: float) -> str:
    """When a model was last used: 'just now', '2 min ago'. Coarse, so that it seldom changes."""
    return "just now" if seconds < MINUTE else f"{duration(seconds // MINUTE * MINUTE)} ago"


def parameters(count: int) -> str:
    """8.7 M, 500 M, 7.1 B; empty where no source says it."""
    if not count:
        return ""
    number, unit = (count / 1e9, "B") if count >= 1e9 else (count / 1e6, "M")
    return f"{number:.1f}".removesuffix(".0") + f" {unit}"
