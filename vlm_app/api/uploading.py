"""What happens to a file between its upload and the answer to it: nothing in it tells a place or a device."""

from __future__ import annotations

import json
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vlm_app.api.held_back import held_back
from vlm_app.media.bare import bare_file
from vlm_app.store.uploads import Uploads

ROUTE = "/gradio_api/upload"


class Uploading:
    """Holds the answer to an upload back until its files are bare and it is known whose they are.

    Plain ASGI. It stands inside of what changes the paths in answers.
    """

    def __init__(self, app: ASGIApp, uploads: Uploads) -> None:
        self.app = app
        self.uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or not scope["path"].endswith(ROUTE):
            await self.app(scope, receive, send)
            return

        async def bare(start: Message, body: bytes) -> bytes:
            if start["status"] == 200:
                await run_in_threadpool(self._came, _owner(scope), body)
            return body

        await self.app(scope, receive, held_back(send, bare))

    def _came(self, owner: str | None, body: bytes) -> None:
        """Raises `OSError` where the disk refuses: then nobody is told where the files lie."""
        paths = [Path(each) for each in json.loads(body) if isinstance(each, str)]
        if owner:
            self.uploads.came(owner, paths)  # first: also what cannot be made bare is in somebody's share
        for path in paths:
            if path.resolve().is_relative_to(self.uploads.folder):
                bare_file(path)


def _owner(scope: Scope) -> str | None:
    """Whose uploads these are; who has no cookie is told apart by an address, so that they count, too."""
    state = scope.get("state", {})
    owner: str | None = state["visit"].person.owner if "visit" in state else state.get("owner")
    return owner
