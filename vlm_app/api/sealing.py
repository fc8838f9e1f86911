"""The way to Gradio's own routes: few of them are open, and names in them are sealed (see `seals`).

Plain ASGI. It stands inside of what compresses, as answers are read on their way out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import parse_qsl, quote, urlencode

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app.api.held_back import held_back
from vlm_app.api.replies import refusal
from vlm_app.api.seals import Seals
from vlm_app.errors import AppError, BadInput, NotFound

PREFIX = "/gradio_api/"
MOST_BYTES = 64_000_000  # of a question as JSON; files come by another way
OPEN = re.compile(  # what the page and Gradio's client ask for; anything else is closed
    r"(?:info|app_id|user|login_check|startup-events|queue/status|theme\.css)/?"
    r"|(?P<json>queue/join|cancel|reset/?|(?:run|api|call|call/v2)/[^/]+/?)"
    r"|(?P<query>queue/data|upload|upload_progress)"
    r"|heartbeat/(?P<session>[^/]+)|call/(?:v2/)?[^/]+/(?P<event>[^/]+)|file=(?P<file>.*)",
    re.DOTALL,
)
CLOSED = re.compile(r"/(?:monitoring|svelte|pwa_icon)(?:/|$)")
QUERY_NAMES = {"session_hash", "upload_id"}  # chosen by the client


class Sealing:
    """Opens the names in what a visitor asks Gradio, and seals those in the answer."""

    def __init__(self, app: ASGIApp, seals: Seals) -> None:
        self.app = app
        self.seals = seals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        before, prefix, asked = str(scope.get("path", "")).partition(PREFIX)
        if scope["type"] != "http" or not (prefix or CLOSED.match(before)):
            await self.app(scope, receive, send)
            return
        state = scope.get("state", {})
        owner, uploader = state.get("owner"), state["visit"].person.owner if "visit" in state else ""
        try:
            scope, receive = await self._opened(scope, receive, owner, before + prefix, asked)
        except AppError as error:
            status = 404 if isinstance(error, NotFound) else 400
            await refusal(before + prefix + asked, error.sentence, status)(scope, receive, send)
            return
        await self.app(scope, receive, _sealing(send, partial(self.seals.sealed, owner, uploader)))

    async def _opened(
        self, scope: Scope, receive: Receive, owner: str | None, before: str, asked: str
    ) -> tuple[Scope, Receive]:
        """The request as Gradio gets it."""
        found = OPEN.fullmatch(asked)
        if found is None:
            raise NotFound("There is nothing here.")
        names = {name: text for name, text in found.groupdict().items() if text is not None}
        if "json" in names:
            if scope["method"] != "POST":  # 'call/v2/x' would be read as the question x of 'v2'
                raise NotFound("There is nothing here.")
            body = self.seals.opened(owner, await _body(receive))
            return _with_length(scope, len(body)), _replayed(body, receive)
        if "query" in names:
            return _with_query(scope, self.seals, owner), receive
        return _with_path(scope, before + self._path(found, names, owner)), receive

    def _path(self, found: re.Match[str], names: Mapping[str, str], owner: str | None) -> str:
        """The rest of the path with its one name opened."""
        ways = {"session": self.seals.session, "event": self.seals.event, "file": self.seals.file}
        for name, way in ways.items():
            if name in names:
                return found[0][: found.start(name)] + way(owner, names[name])
        return found[0]


def _sealing(send: Send, seal: Callable[[bytes], bytes]) -> Send:
    """A `send` that seals what answers: JSON as a whole, a stream of events piece by piece."""
    streamed = False

    async def piece(message: Message) -> None:
        nonlocal streamed
        if message["type"] == "http.response.start":
            streamed = _kind(message).startswith("text/event-stream")
        elif streamed and message.get("body"):
            message = {**message, "body": seal(message["body"])}
        await send(message)

    async def whole(start: Message, body: bytes) -> bytes:
        return seal(body)

    return held_back(piece, whole, lambda start: _kind(start).startswith("application/json"))


def _kind(start: Message) -> str:
    return Headers(raw=start["headers"]).get("content-type", "")


async def _body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > MOST_BYTES:
            raise BadInput(f"A question has at most {MOST_BYTES // 1_000_000} MB: send less at once.")
        if not message.get("more_body"):
            return bytes(body)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Gives a body that was read; afterwards whatever follows, as that the client has left."""
    waiting = [body]

    async def again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return again


def _with_length(scope: Scope, length: int) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*headers, (b"content-length", str(length).encode())]}


def _with_path(scope: Scope, path: str) -> Scope:
    return {**scope, "path": path, "raw_path": quote(path).encode()}


def _with_query(scope: Scope, seals: Seals, owner: str | None) -> Scope:
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    opened = [(name, seals.session(owner, text) if name in QUERY_NAMES else text) for name, text in pairs]
    return {**scope, "query_string": urlencode(opened).encode()}
