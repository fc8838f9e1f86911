"""Servers that speak the OpenAI protocol: adding them, their models, and asking them.

How a model speaks is its family's affair, as everywhere; this room knows how a server is
reached, what it takes, and what is said when it fails. `openai`, the official client
library, speaks the protocol, and is imported when a server is first asked.
"""

from vlm_app.servers.breaker import Health, health
from vlm_app.servers.client import Completion, Said
from vlm_app.servers.discovery import discover
from vlm_app.servers.guessing import family_for
from vlm_app.servers.kinds import KINDS, Kind
from vlm_app.servers.messages import harmless, messages, plain
from vlm_app.servers.registry import Server, add, assign, find, key_place, remove, servers
from vlm_app.servers.retrying import Patience

__all__ = [
    "KINDS",
    "Completion",
    "Health",
    "Kind",
    "Patience",
    "Said",
    "Server",
    "add",
    "assign",
    "discover",
    "family_for",
    "find",
    "harmless",
    "health",
    "key_place",
    "messages",
    "plain",
    "remove",
    "servers",
]
