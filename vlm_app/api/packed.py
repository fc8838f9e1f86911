"""What the page is made of goes out compressed, and is kept by whoever got it.

Gradio compresses its scripts anew for each visitor, which takes a second, leaves its page as it is, and
lets browsers ask again for files whose names change with what they hold.
"""

from __future__ import annotations

import re
from functools import partial

import brotli
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app.api.held_back import held_back
from vlm_app.api.replies import FOREVER

NAMED = re.compile(r"/(?:assets|page/[0-9a-f]{16})/[^/]+\.(?:js|css)")  # its name changes with its content
QUALITY = (
    5  # of 11: 3 ms for the page, 40 ms for all files of a visit; 9 takes ten times as long for 2 % less
)


class Packed:
    """Compresses with Brotli: named files once, the page each time. Plain ASGI; it stands outside of
    what changes the page. There are as many files to keep as Gradio has, a few MB."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._kept: dict[str, tuple[Message, bytes]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = str(scope.get("path", ""))
        if path == "/" and _takes(scope):
            await self.app(scope, receive, held_back(send, _packed, _is_whole))
        elif not NAMED.fullmatch(path) or not _takes(scope):
            await self.app(scope, receive, send)
        elif path in self._kept:
            start, body = self._kept[path]
            await send({**start, "headers": list(start["headers"])})  # whoever is outside adds to them
            await send({"type": "http.response.body", "body": body})
        else:
            await self.app(scope, receive, held_back(send, partial(self._keeping, path), _is_whole))

    async def _keeping(self, path: str, start: Message, body: bytes) -> bytes:
        MutableHeaders(scope=start).update(FOREVER)
        body = await _packed(start, body)
        MutableHeaders(scope=start)["content-length"] = str(len(body))
        self._kept[path] = ({**start, "headers": list(start["headers"])}, body)
        return body


def _takes(scope: Scope) -> bool:
    """Whether the whole of it is asked for, by who can read Brotli."""
    headers = Headers(scope=scope)
    return scope["method"] == "GET" and "br" in headers.get("accept-encoding", "") and "range" not in headers


def _is_whole(start: Message) -> bool:
    return start["status"] == 200 and "content-encoding" not in Headers(raw=start["headers"])


async def _packed(start: Message, body: bytes) -> bytes:
    headers = MutableHeaders(scope=start)
    headers["content-encoding"] = "br"
    headers.add_vary_header("accept-encoding")
    packed: bytes = await run_in_threadpool(brotli.compress, body, brotli.MODE_TEXT, QUALITY)
    return packed
