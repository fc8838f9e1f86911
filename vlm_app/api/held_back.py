"""An answer that is held back until it is whole, so that it can be changed before anybody gets it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

Change = Callable[[Message, bytes], Awaitable[bytes]]


def held_back(send: Send, change: Change, wanted: Callable[[Message], bool] = lambda start: True) -> Send:
    """A `send` for what answers: `change` gets how an answer begins and its body, and gives the body to send.

    Answers of which `wanted` says no by how they begin pass as they come.
    """
    start: list[Message] = []
    body = bytearray()

    async def hold(message: Message) -> None:
        if message["type"] == "http.response.start" and wanted(message):
            start.append(message)
        elif message["type"] == "http.response.body" and start:
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            changed = await change(start[0], bytes(body))
            if changed:  # HEAD has the length and no body
                MutableHeaders(scope=start[0])["content-length"] = str(len(changed))
            await send(start.pop())
            await send({"type": "http.response.body", "body": changed})
        else:
            await send(message)

    return hold
