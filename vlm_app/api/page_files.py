"""The page's own files, under addresses that change with what they hold, so that a browser keeps them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from vlm_app.api.replies import FOREVER
from vlm_app.settings import settings


@dataclass(frozen=True)
class PageFile:
    """One file, made when the app starts."""

    name: str
    media_type: str
    text: str

    @property
    def path(self) -> str:
        """Where it is served, below the path of a reverse proxy."""
        return f"/page/{hashlib.sha256(self.text.encode()).hexdigest()[:16]}/{self.name}"

    @property
    def address(self) -> str:
        """How the page asks for it."""
        return settings().root_path + self.path

    def route(self) -> Route:
        """For `launch(app_kwargs={"routes": ...})`."""
        data = self.text.encode()

        async def reply(request: Request) -> Response:
            return Response(data, media_type=self.media_type, headers=FOREVER)

        return Route(self.path, reply)
