"""Ports for servers that are told theirs: nobody takes them between the choice and the server's start."""

from __future__ import annotations

import os
import random
import socket

_FIRST, _EACH = 20_000, 4_000  # below the ports that a system gives to whoever names none
_next = random.randrange(_EACH)


def free_port() -> int:
    """A port of the loopback; each of the processes in which the tests run has its own range."""
    global _next
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 3
    for _ in range(_EACH):
        _next = (_next + 1) % _EACH
        port = _FIRST + _EACH * worker + _next
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise OSError("No port is free: end a few servers.")
