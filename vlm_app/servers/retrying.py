"""How often and how long a server is asked again, before anything of its answer was shown."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from vlm_app.servers.faults import fault
from vlm_app.servers.registry import Server

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds until a connection, the first token, and between two pieces; and the retries."""

    connect: float = 10.0
    first_token: float = 180.0  # a large model reads many images
    stall: float = 60.0
    retries: int = 2
    backoff: float = 0.5  # seconds before the first retry, doubled each time
    longest_wait: float = 30.0  # a server that asks for more is not waited for


async def retrying(ask: Callable[[], Awaitable[_Result]], server: Server, patience: Patience) -> _Result:
    """What `ask` gives; asked again after 429 and 5xx, as the server says or with growing pauses."""
    attempt = 0
    while True:
        try:
            return await ask()
        except Exception as error:
            found = fault(error, server)
            pause = patience.backoff * 2**attempt * random.uniform(0.75, 1.25)
            pause = pause if found.wait is None else found.wait
            if not found.again or attempt >= patience.retries or pause > patience.longest_wait:
                raise
        attempt += 1
        await asyncio.sleep(pause)
