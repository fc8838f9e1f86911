"""What every request passes once it is known who sent it: how often, how much, how many files.

Plain ASGI, so that nothing is buffered: a body is counted while it goes by, and what is too much is
answered before the rest is read. Its file is then removed by whoever was writing it.
"""

from __future__ import annotations

import math
import re

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app import limits
from vlm_app.api.form_files import FormFiles
from vlm_app.api.replies import GRADIO, UPLOAD, refusal
from vlm_app.errors import TooMany, TooMuch
from vlm_app.limits import Limits, Rates, Turns
from vlm_app.store.disk import Disk, mb

SMALL = 10  # small requests for each other one: pictures of a page, its timers, how far an upload is
UPLOADS = 2  # of one person at once: one that waits for its next piece holds room on the disk
FREE = re.compile(
    r"/(?:assets|page|static|svelte|_app|custom_component)/.*|/(?:health|ready|theme\.css|favicon\.ico)"
)
SMALL_POSTS = re.compile(rf"{GRADIO}(?:run|cancel|reset|heartbeat|stream)(?:/.*)?")
STREAMED = re.compile(r"/arrivals/[^/]+/file|/adapter")  # these count for themselves, while they write


class Limited:
    """Refuses what is more than the role of whoever asks may have."""

    def __init__(self, app: ASGIApp, disk: Disk, rates: Rates | None = None) -> None:
        self.app = app
        self.disk = disk
        self.rates = rates or Rates()
        self._uploads = Turns()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = scope["state"]["visit"]
        person = visit.person
        limits.know(person)
        allowed, path = limits.limits_for(person.role), str(scope["path"])
        try:
            self._check_rate(person.owner, visit.counted, allowed, scope)
            if path == UPLOAD:
                await self._upload(scope, receive, send, person.owner, allowed)
            elif allowed.document_bytes is None or STREAMED.fullmatch(path):
                await self.app(scope, receive, send)
            else:
                await self._counted(scope, receive, send, Body(scope, allowed, allowed.document_bytes))
        except TooMany as error:
            await refusal(path, error.sentence, 429)(scope, receive, send)
        except TooMuch as error:
            await refusal(path, error.sentence, 413)(scope, receive, send)

    # --- how often ------------------------------------------------------------------------

    def _check_rate(self, owner: str, address: str, allowed: Limits, scope: Scope) -> None:
        path = str(scope["path"])
        if allowed.requests is None or FREE.fullmatch(path) or STREAMED.fullmatch(path):
            return
        small = scope["method"] in ("GET", "HEAD") or SMALL_POSTS.fullmatch(path) is not None
        most = allowed.requests * (SMALL if small else 1)
        wait = self.rates.wait(f"{'small' if small else 'asked'} {owner}", most)
        # Whoever loads the page without a cookie gets another owner each time.
        if not wait and address and (path == "/" or not small):
            most = allowed.requests * SMALL
            wait = self.rates.wait(f"{'page' if small else 'asked'} from {address}", most)
        if wait:
            kind = "small requests" if small else "requests"
            raise TooMany(
                f"At most {most:,} {kind} a minute are answered for {allowed.a_role}: wait "
                f"{math.ceil(wait)} s, and try again."
            )

    # --- how much -------------------------------------------------------------------------

    async def _upload(self, scope: Scope, receive: Receive, send: Send, owner: str, allowed: Limits) -> None:
        sentence = (
            f"At most {UPLOADS} uploads at once are taken of {allowed.a_role}: wait until another one ends, "
            "and try again."
        )
        with (
            self._uploads.taken(owner, None if allowed.disk is None else UPLOADS, sentence),
            await run_in_threadpool(self.disk.reserve, owner, _announced(scope)) as room,
        ):
            files = FormFiles(Headers(scope=scope), allowed, room)
            await self._counted(scope, receive, send, files)
            room.wrote(files.bytes)

    async def _counted(self, scope: Scope, receive: Receive, send: Send, body: Body | FormFiles) -> None:
        """Lets the body by while `body` takes its pieces. Where that raises `TooMuch`, whoever reads
        it meets a broken form, and its answer is replaced."""
        refused: TooMuch | None = None

        async def counted() -> Message:
            nonlocal refused
            message = await receive()
            try:
                body.take(message.get("body", b""))
            except TooMuch as error:
                refused = error
                raise MultiPartException(error.sentence) from error
            return message

        async def answer(message: Message) -> None:
            if refused is None:
                await send(message)

        try:
            await self.app(scope, counted, answer)
        except MultiPartException:
            if refused is None:
                raise
        if refused is not None:
            raise refused


class Body:
    """A body that is no file, and is read into memory."""

    def __init__(self, scope: Scope, allowed: Limits, most: int) -> None:
        self._sentence = (
            f"A request of {allowed.a_role} may hold at most {mb(most)}: send less at once, or as a file."
        )
        self._most = most
        self._bytes = 0
        if _announced(scope) > most:
            raise TooMuch(self._sentence)

    def take(self, piece: bytes) -> None:
        """The next piece. Raises `TooMuch`."""
        self._bytes += len(piece)
        if self._bytes > self._most:
            raise TooMuch(self._sentence)


def _announced(scope: Scope) -> int:
    """How many bytes a request says that it has."""
    text = Headers(scope=scope).get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0
