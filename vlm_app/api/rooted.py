"""Behind a reverse proxy that serves the app under a path, whether it takes that path away or not."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from vlm_app.settings import settings


class Rooted:
    """Takes the proxy's path from each request that still has it.

    It stands outside of everything that looks at paths, so that no rule is passed by because
    of a prefix. Plain ASGI: nothing is buffered.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root = settings().root_path
        if not root or scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"] == root:  # addresses on the page are relative to a folder
            await RedirectResponse(f"{root}/", 308)(scope, receive, send)
        else:
            await self.app(_without(scope, root), receive, send)


def _without(scope: Scope, root: str) -> Scope:
    path, raw = str(scope["path"]), bytes(scope.get("raw_path") or b"")
    if not path.startswith(f"{root}/"):
        return scope
    return {**scope, "path": path[len(root) :], "raw_path": raw.removeprefix(root.encode())}
