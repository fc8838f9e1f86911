"""What every request passes and every response carries: the owner, and security headers.

Both are plain ASGI, so that streamed answers are never buffered, and stand outside of everything else:
errors, redirects and answers to preflights carry the headers too.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app.api import cookies, senders
from vlm_app.api.owner import COOKIE, Owners
from vlm_app.api.people import People
from vlm_app.api.replies import refusal
from vlm_app.api.rooted import Rooted, own_path
from vlm_app.settings import settings

YEAR = 365 * 24 * 3600
LOCAL = {"localhost", "127.0.0.1", "::1"}

# Gradio's page needs inline scripts and compiles its templates with `new Function`.
PAGE_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src 'self' 'unsafe-inline' 'unsafe-eval'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self' data: blob:",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
    )
)
EMBEDDERS = "frame-ancestors 'self' https://huggingface.co"
LOCAL_EMBEDDERS = "frame-ancestors 'self' http://localhost:* http://127.0.0.1:*"  # notebooks
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

# Gradio would fetch these addresses for whoever asks.
FETCHES_ELSEWHERE = re.compile(r"/file=(?:\w+:|//|%2f%2f)|/proxy=", re.IGNORECASE)
SERVES_FILES = re.compile(r"/file[=/]|/media/|/examples/|/chats/|/bench/|/findings/|/runs/|/report\.")
OPEN = re.compile(
    r"/(?:sign-in(?:/.*)?|login/callback|health|ready|favicon\.ico)"
)  # before anybody signed in


def outermost(owners: Owners) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    """A lifespan that puts both around an app, also around what answers when it fails."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        assert app.middleware_stack is not None, "a server has started the app"
        app.middleware_stack = SecurityHeaders(Rooted(Visitors(app.middleware_stack, owners)))
        yield

    return lifespan


class Visitors:
    """Gives each browser that opens the page an owner, and turns away what other sites send through it."""

    def __init__(self, app: ASGIApp, owners: Owners) -> None:
        self.app = app
        self.owners = owners
        self.people = People(owners)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if _is_foreign(headers):
            await PlainTextResponse("Requests from other sites are not answered here.", 403)(
                scope, receive, send
            )
            return
        visit = self.people.visit(scope)
        if not (visit.name or settings().anonymous or OPEN.fullmatch(str(scope["path"]))):
            await _sign_in_first(str(scope["path"]), headers)(scope, receive, send)
            return
        fresh = None
        # Only there are those counted by their address who come without a cookie.
        if visit.owner is None and scope["path"] == "/" and "text/html" in headers.get("accept", ""):
            owner, fresh = self.owners.new(visit.home)
            visit = replace(visit, owner=owner)
        scope.setdefault("state", {}).update(visit=visit, owner=visit.owner)

        async def answer(message: Message) -> None:
            if fresh is not None and message["type"] == "http.response.start":
                cookie = cookies.written(scope, COOKIE, fresh, YEAR)
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        await self.app(scope, receive, answer)


class SecurityHeaders:
    """Sets the policy of each response: a page, or a file that must never act as one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path, host = own_path(scope), senders.host_of(Headers(scope=scope))
        policy = FILE_POLICY if SERVES_FILES.search(path) else PAGE_POLICY
        policy = f"{policy}; {LOCAL_EMBEDDERS if host in LOCAL else EMBEDDERS}"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name in [name for name in headers if name.startswith("access-control-")]:
                    del headers[name]  # Gradio allows whoever asks; here no other site may read anything
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
                headers["cross-origin-resource-policy"] = "same-origin"
            await send(message)

        if FETCHES_ELSEWHERE.search(path):
            await PlainTextResponse("Only files of this app are served.", 404)(scope, receive, answer)
            return
        await self.app(scope, receive, answer)


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another site sent this request (browsers name it in `Origin`)."""
    origin = headers.get("origin")
    if origin is None:
        return False
    hosts = (headers.get("host"), headers.get("x-forwarded-host", "").partition(",")[0].strip())
    try:
        return urlsplit(origin).netloc not in {host for host in hosts if host}
    except ValueError:
        return True


def _sign_in_first(path: str, headers: Headers) -> Response:
    """Who has not signed in where everybody must: a page is sent on, anything else gets a sentence."""
    if "text/html" in headers.get("accept", "") and headers.get("sec-fetch-dest") != "empty":
        return RedirectResponse(f"{settings().root_path}/sign-in", 303)
    return refusal(path, "This app is for those who sign in: open its page and do so.", 401)
