"""Pictures, exports and examples over HTTP. Whatever belongs to somebody checks the owner."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from vlm_app import __version__, grounding, media
from vlm_app.api.drawn import regions_of
from vlm_app.api.page_head import manifest
from vlm_app.api.replies import (
    FOREVER,
    NEVER,
    attachment,
    image_type,
    owner_of,
    sentence_on_error,
    side_of,
    slug,
)
from vlm_app.chat import Chats
from vlm_app.errors import NotFound
from vlm_app.store import Store


def routes(store: Store, chats: Chats, examples: Path) -> list[Route]:
    """The app's own routes, for `launch(app_kwargs={"routes": ...})`."""
    served = Served(store, chats, examples)
    return [
        Route("/health", sentence_on_error(served.health)),
        Route("/manifest.json", sentence_on_error(served.manifest)),
        Route("/media/{id}", sentence_on_error(served.picture)),
        Route("/media/{id}/answer/{message}", sentence_on_error(served.answer)),
        Route("/chats/{id}/export.{kind}", sentence_on_error(served.export)),
        Route("/examples/{name}", sentence_on_error(served.example)),
    ]


class Served:
    """The handlers, with what they read from."""

    def __init__(self, store: Store, chats: Chats, examples: Path) -> None:
        self.store = store
        self.chats = chats
        self.examples = examples

    async def health(self, request: Request) -> Response:
        """The server is alive; says nothing about models."""
        return JSONResponse({"status": "ok", "version": __version__})

    async def manifest(self, request: Request) -> Response:
        """For a browser that puts the app among those of its device."""
        return JSONResponse(manifest(), media_type="application/manifest+json")

    async def picture(self, request: Request) -> Response:
        """A stored picture, or with `?side=320` a smaller copy of it."""
        owner, media_id = owner_of(request), request.path_params["id"]
        if "side" not in request.query_params:
            path = await run_in_threadpool(self.store.picture_path, owner, media_id)
            return FileResponse(path, media_type="image/png", headers=FOREVER)
        side = side_of(request.query_params["side"])
        picture = await run_in_threadpool(self.store.picture, owner, media_id)
        data = await run_in_threadpool(media.thumbnail, picture, side)
        return Response(data, media_type=image_type(data), headers=FOREVER)

    async def answer(self, request: Request) -> Response:
        """A picture with the regions that one answer drew on it, in its own pixels."""
        owner, media_id = owner_of(request), request.path_params["id"]
        number = request.query_params.get("given", "")
        given = int(number) if re.fullmatch(r"[0-9]{1,5}", number) else None
        data = await run_in_threadpool(self._drawn, owner, media_id, request.path_params["message"], given)
        return Response(data, media_type="image/png", headers=NEVER)

    def _drawn(self, owner: str, media_id: str, message_id: str, given: int | None) -> bytes:
        picture = self.store.picture(owner, media_id)
        regions = regions_of(self.store, self.chats, owner, message_id, media_id, given)
        return media.png_bytes(grounding.draw(picture.pixels, regions))

    async def export(self, request: Request) -> Response:
        """A chat as a file: `json` with its pictures inside, or `md`."""
        owner, chat_id, kind = owner_of(request), request.path_params["id"], request.path_params["kind"]
        conversation = await run_in_threadpool(self.chats.open, owner, chat_id)
        if kind == "json":
            data = await run_in_threadpool(self.chats.export_json, owner, chat_id)
            return attachment(data, "application/json", f"{slug(conversation.title)}.json")
        if kind == "md":
            text = await run_in_threadpool(self.chats.export_markdown, owner, chat_id)
            return attachment(text.encode(), "text/markdown; charset=utf-8", f"{slug(conversation.title)}.md")
        raise NotFound("A chat is exported as json or md.")

    async def example(self, request: Request) -> Response:
        """One of the pictures on the first screen."""
        known = {path.name: path for path in self.examples.glob("*.png")}
        path = known.get(request.path_params["name"])
        if path is None:
            raise NotFound("There is no such example.")
        return FileResponse(path, media_type="image/png", headers={"cache-control": "max-age=3600"})
