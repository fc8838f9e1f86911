"""What is around the machine: the Hub, the port to serve on, and who would come."""

from __future__ import annotations

import errno
import json
import socket
import time
from collections.abc import Collection
from ipaddress import ip_address, ip_network
from urllib.request import ProxyHandler, build_opener

from vlm_app import hub
from vlm_app.doctor.finding import Finding, Level
from vlm_app.errors import AppError
from vlm_app.people import Role
from vlm_app.settings import Place, Settings, settings
from vlm_app.store.persons import Persons

PATIENCE = 4.0  # seconds for the Hub
_HEALTH = 2.0  # seconds for a server on this machine
_WAYS = "Allow HTTPS to huggingface.co, or name a proxy in HTTPS_PROXY or a mirror in HF_ENDPOINT."


def hub_access(patience: float = PATIENCE) -> Finding:
    """Whether models can be fetched, and as whom."""
    from huggingface_hub import constants, is_offline_mode

    if is_offline_mode():
        found = "offline mode (HF_HUB_OFFLINE): only models that are on the disk can be used"
        return Finding("hub", Level.NOTE, found, "Unset HF_HUB_OFFLINE to fetch others.")
    if not _reached(patience):
        found = f"{constants.ENDPOINT} cannot be reached: only models that are on the disk can be used"
        return Finding("hub", Level.NOTE, found, _WAYS)
    name = hub.signed_in()
    whom = f"signed in as {name}" if name else "nobody is signed in, which gated models ask for"
    return Finding("hub", Level.OK, f"{constants.ENDPOINT} answers; {whom}")


def _reached(patience: float) -> bool:
    end = time.monotonic() + patience
    while (answer := hub.reachable(patience)) is None and time.monotonic() < end:
        time.sleep(0.05)
    return bool(answer)


def port(host: str, number: int) -> Finding:
    """Whether the app can be served there, or already is."""
    place = f"{host} port {number}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server binds
            probe.bind(address)
    except UnicodeError:  # no name of a host
        return _nowhere(host)
    except OSError as error:
        return _taken(host, number, place, error)
    return Finding("port", Level.OK, f"{place} is free" if number else f"any free port of {host}")


def _taken(host: str, number: int, place: str, error: OSError) -> Finding:
    if error.errno == errno.EADDRINUSE:
        if version := _served(host, number):
            found = f"vlm-app {version} runs at {place}"
            return Finding("port", Level.NOTE, found, "End it before another one is served there.")
        advice = (
            f"Choose another, as 'vlm-app serve --port {number + 1}' or VLM_APP_PORT, or end that program."
        )
        return Finding("port", Level.PROBLEM, f"{place} is taken by another program", advice)
    if error.errno == errno.EACCES:
        advice = "Choose one above 1023, and put a reverse proxy before it (docs/deploy.md)."
        return Finding("port", Level.PROBLEM, f"{place} is for administrators", advice)
    return _nowhere(host)


def _nowhere(host: str) -> Finding:
    advice = "Serve on 127.0.0.1 for this machine alone, on 0.0.0.0 for all: --host or VLM_APP_HOST."
    return Finding("port", Level.PROBLEM, f"{host} is no address of this machine", advice)


def _served(host: str, number: int) -> str:
    """The version of the app that answers there; '' where it is something else."""
    local = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host
    name = f"[{local}]" if ":" in local else local
    try:
        # Nobody's proxy is asked about this machine.
        with build_opener(ProxyHandler({})).open(f"http://{name}:{number}/health", timeout=_HEALTH) as answer:
            said = json.loads(answer.read(10_000))
    except (OSError, ValueError):
        return ""
    return str(said.get("version", "")) if isinstance(said, dict) else ""


def visitors() -> Finding:
    """Who could come to the page, and what they may do there."""
    chosen = settings()
    apart = _is_loopback(chosen.host) and not chosen.root_path
    if not chosen.anonymous:
        found = "everybody signs in first"
    elif chosen.everyone is not None:
        found = f"who has not signed in has the role {chosen.everyone}"
        if chosen.everyone is Role.ADMIN and not apart:
            advice = "Anybody may load, delete and train: set VLM_APP_EVERYONE to visitor, or to nothing."
            return Finding("visitors", Level.NOTE, found, advice)
    elif chosen.place is Place.LAPTOP and _proxy_at_home(chosen.trusted_proxies):
        found = (
            "who has not signed in is a visitor, at this machine too: a trusted proxy has the same address "
            "(VLM_APP_TRUSTED_PROXIES)"
        )
    elif chosen.place is Place.LAPTOP:
        found = "at this machine everything is allowed; from elsewhere, or through a proxy, one is a visitor"
    else:
        found = "who has not signed in is a visitor"
    if chosen.root_path and not chosen.trusted_proxies:
        advice = (
            "Name the proxy in VLM_APP_TRUSTED_PROXIES, as 127.0.0.1: else all who come through it are one."
        )
        return Finding("visitors", Level.NOTE, found, advice)
    try:
        nobody = _nobody_may(chosen)
    except AppError as error:
        return Finding("visitors", Level.PROBLEM, found, error.sentence)
    if nobody:
        advice = "Add an admin: 'vlm-app person add NAME --role admin'."
        return Finding("visitors", Level.NOTE, f"{found}; nobody may load, train or delete", advice)
    return Finding("visitors", Level.OK, found)


def _proxy_at_home(proxies: Collection[str]) -> bool:
    """Whether whoever sits at this machine comes from the address of a proxy."""
    home = [ip_address("127.0.0.1"), ip_address("::1")]
    return any(address in ip_network(each, strict=False) for each in proxies for address in home)


def _nobody_may(chosen: Settings) -> bool:
    """Whether there is no admin, and nobody is one by sitting here. Spaces and proxies know their own."""
    elsewhere = chosen.place in (Place.SPACE, Place.ZEROGPU) or chosen.proxy_header
    home = chosen.place is Place.LAPTOP and not _proxy_at_home(chosen.trusted_proxies)
    anybody = chosen.everyone is Role.ADMIN or (home and chosen.everyone is None)
    if elsewhere or (chosen.anonymous and anybody):
        return False
    return all(each.role is not Role.ADMIN for each in Persons(chosen.data).all())


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
