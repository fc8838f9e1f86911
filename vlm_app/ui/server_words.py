"""How a server has been lately, in the few words that the page has room for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from vlm_app import servers
from vlm_app.errors import NotFound
from vlm_app.servers import Health, Server
from vlm_app.types import Checkpoint

LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Standing:
    """`kind` is a class of the style sheet: ready, failed, unloaded (not asked yet), loading (asked now)."""

    kind: str
    words: str  # 'answers', 'failed', 'resting until 12:30:05', 'not asked yet'
    latency: str = ""  # '0.21 s'
    error: str = ""  # the last one's sentence; what a server said is part of it


def standing(health: Health, asking: bool = False) -> Standing:
    """The state of a server; `asking` while it is being asked for its models."""
    latency = seconds(health.latency)
    if asking:
        return Standing("loading", "looking for its models", latency, health.error)
    if health.resting:
        return Standing("failed", f"resting until {_clock(health.rests_until)}", latency, health.error)
    if health.error:
        return Standing("failed", "failed", latency, health.error)
    return Standing("ready", "answers", latency) if health.at else Standing("unloaded", "not asked yet")


def of(checkpoint: Checkpoint) -> Standing:
    """The state of the server that has this model."""
    return standing(servers.health(checkpoint.server))


def seconds(latency: float | None) -> str:
    """'0.21 s'; empty for none."""
    return "" if latency is None else f"{latency:.2f} s" if latency < 10 else f"{latency:.0f} s"


def leaves(checkpoint: Checkpoint) -> str:
    """'Images go to api.openai.com.' for a model whose images leave this computer; else empty."""
    if not checkpoint.server:
        return ""
    try:
        server = servers.find(checkpoint.server)
    except NotFound:  # removed a moment ago
        return ""
    host = host_of(server)
    return "" if host in LOOPBACK and not server.kind.hosted else f"Images go to {host}."


def host_of(server: Server) -> str:
    """The name of the computer that a server runs on."""
    return urlsplit(server.url).hostname or server.url


def _clock(moment: float) -> str:
    """The time of day of a moment of `time.monotonic()`."""
    return f"{datetime.fromtimestamp(time.time() + moment - time.monotonic()):%H:%M:%S}"
