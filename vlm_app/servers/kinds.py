"""The kinds of servers that speak the OpenAI protocol, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from vlm_app.servers.hosted import HOSTED
from vlm_app.servers.kind import Kind
from vlm_app.servers.open_servers import OPEN_SERVERS

__all__ = ["KINDS", "Kind"]

_OTHER = Kind(
    name="other",
    title="Another server",
    url="",
    usage=False,
    notes=(
        "Nothing is known of it: it is sent only what the protocol has always had, so it is not asked for "
        "token counts, and its special tokens may be missing.",
    ),
)

KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in (*OPEN_SERVERS, *HOSTED, _OTHER)})
