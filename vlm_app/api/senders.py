"""Where a request comes from: whose address, and whether from the computer that the app runs on.

Headers that a proxy sets say it only where the request comes from a proxy that was named.
"""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

# What proxies leave on a request: with any of them, its sender is not the one who sits there.
FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")


def is_named(address: str, networks: Collection[str]) -> bool:
    """Whether an address is one of those, which may be networks such as '10.0.0.0/8'."""
    try:
        found = ip_address(_plain(address))
    except ValueError:
        return False
    return any(found in ip_network(each, strict=False) for each in networks)


def address_of(scope: Scope, proxies: Collection[str]) -> str:
    """The sender's address; '' where a proxy that was not named stands between."""
    peer, headers = _peer(scope), Headers(scope=scope)
    if not is_named(peer, proxies):
        return "" if any(name in headers for name in FORWARDED) else peer
    hops = ",".join(headers.getlist("x-forwarded-for")).split(",")
    others = [hop.strip() for hop in hops if hop.strip() and not is_named(hop.strip(), proxies)]
    return _plain(others[-1]) if others else peer


def from_proxy(scope: Scope, proxies: Collection[str]) -> bool:
    """Whether one of the named proxies sent it."""
    return is_named(_peer(scope), proxies)


def last_hop(scope: Scope) -> str:
    """The last public address that proxies have noted, for counting only: it proves nothing.

    What a sender noted beforehand stands before it; proxies within a network note private ones after it.
    """
    hops = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")
    return next((_plain(hop) for hop in reversed(hops) if _is_public(hop)), "")


def at_home(scope: Scope, proxies: Collection[str]) -> bool:
    """Whether whoever asks sits at the computer that the app runs on, and asks for it by such a name.

    A page of another site whose name was made to point here asks by that name. A proxy may leave no
    trace on a request and ask for localhost: who comes from the address of a named one is not at home.
    """
    headers = Headers(scope=scope)
    if any(name in headers for name in FORWARDED) or from_proxy(scope, proxies):
        return False
    host = host_of(headers)
    return _is_loopback(_peer(scope)) and (host == "localhost" or _is_loopback(host))


def host_of(headers: Headers) -> str:
    """The name by which the app is asked for, without a port; '' where it is none."""
    try:
        return urlsplit("//" + headers.get("host", "")).hostname or ""
    except ValueError:
        return ""


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    return _plain(str(client[0])) if client else ""


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(_plain(address)).is_loopback
    except ValueError:
        return False


def _is_public(address: str) -> bool:
    try:
        return ip_address(_plain(address)).is_global
    except ValueError:
        return False


def _plain(address: str) -> str:
    """IPv4 where it was written as IPv6, as sockets for both do."""
    try:
        found = ip_address(address.strip())
    except ValueError:
        return address
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)
