"""What every request passes and every response carries: the owner, and security headers.

Both are plain ASGI, so that streamed answers are never buffered.
"""

from __future__ import annotations

import re
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app.api.owner import COOKIE, Owners
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
FILE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"

# Gradio would fetch these addresses for whoever asks.
FETCHES_ELSEWHERE = re.compile(r"/file=(?:\w+:|//|%2f%2f)|/proxy=", re.IGNORECASE)
SERVES_FILES = re.compile(r"/file[=/]|/media/|/examples/|/chats/|/bench/|/findings/|/runs/|/report\.")


class Visitors:
    """Gives each browser an owner and turns away requests that other sites send through it."""

    def __init__(self, app: ASGIApp, owners: Owners) -> None:
        self.app = app
        self.owners = owners

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
        owner = self.owners.read(_cookie(headers))
        fresh = None
        if owner is None and "text/html" in headers.get("accept", ""):
            owner, fresh = self.owners.new()
        scope.setdefault("state", {})["owner"] = owner
        embedded = headers.get("sec-fetch-dest") == "iframe" and headers.get("sec-fetch-site") == "cross-site"

        async def answer(message: Message) -> None:
            if fresh is not None and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("set-cookie", _set_cookie(fresh, embedded, scope["scheme"] == "https"))
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
        path = str(scope["path"])
        if FETCHES_ELSEWHERE.search(path):
            await PlainTextResponse("Only files of this app are served.", 404)(scope, receive, send)
            return
        host = urlsplit("//" + Headers(scope=scope).get("host", "")).hostname
        policy = FILE_POLICY if SERVES_FILES.search(path) else PAGE_POLICY
        if host not in LOCAL:
            policy = f"{policy}; {EMBEDDERS}"

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["content-security-policy"] = policy
                headers["x-content-type-options"] = "nosniff"
                headers["referrer-policy"] = "same-origin"
                headers["permissions-policy"] = "camera=(), microphone=(), geolocation=()"
                headers["cross-origin-resource-policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, answer)


def _is_foreign(headers: Headers) -> bool:
    """Whether a page of another site sent this request (browsers name it in `Origin`)."""
    origin = headers.get("origin")
    if origin is None:
        return False
    hosts = (headers.get("host"), headers.get("x-forwarded-host", "").partition(",")[0].strip())
    return urlsplit(origin).netloc not in {host for host in hosts if host}


def _cookie(headers: Headers) -> str | None:
    jar: SimpleCookie = SimpleCookie()
    for part in headers.get("cookie", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == COOKIE:
            jar[COOKIE] = value
    return jar[COOKIE].value if COOKIE in jar else None


def _set_cookie(value: str, embedded: bool, https: bool) -> str:
    """In a frame of another site (a Space's page) only a partitioned cookie is sent back."""
    rule = "SameSite=None; Secure; Partitioned" if embedded else f"SameSite=Lax{'; Secure' * https}"
    path = settings().root_path or "/"  # two apps behind one proxy have a cookie each
    return f"{COOKIE}={value}; Path={path}; Max-Age={YEAR}; HttpOnly; {rule}"
