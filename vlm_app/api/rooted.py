"""Behind a reverse proxy that serves the app under a path, whether it takes that path away or not."""

from __future__ import annotations

from urllib.parse import quote

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from vlm_app.settings import settings


class Rooted:
    """Takes the proxy's path from each request that still has it.

    It stands outside of everything that lets by or refuses, so that no rule is passed by because
    of a prefix. Plain ASGI: nothing is buffered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = settings().root_path
        if not root or scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = own_path(scope)
        if path == root:  # addresses on the page are relative to a folder
            await RedirectResponse(f"{root}/", 308)(scope, receive, send)
        else:
            await self.app(_with(scope, path), receive, send)


def own_path(scope: Scope) -> str:
    """The path without the proxy's, however often that stands before it: the framework would take
    away a second one after every rule has seen it."""
    root, path = settings().root_path, str(scope["path"])
    while root and path.startswith(f"{root}/"):
        path = path[len(root) :]
    return path


def _with(scope: Scope, path: str) -> Scope:
    return scope if path == scope["path"] else {**scope, "path": path, "raw_path": quote(path).encode()}
